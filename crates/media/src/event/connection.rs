//! How two legs are connected.

use super::Gain;

/// Who hears whom in a connection of two legs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectMode {
    /// Both hear each other.
    Both,
    /// Only the second party hears the first.
    SecondHears,
    /// Only the first party hears the second.
    FirstHears,
}

/// How loud the parties of a connection hear each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Volumes {
    /// What the first party hears of the second.
    pub first: Gain,
    /// What the second party hears of the first.
    pub second: Gain,
}

impl Default for Volumes {
    fn default() -> Self {
        Self { first: Gain::UNITY, second: Gain::UNITY }
    }
}
