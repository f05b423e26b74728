//! What the worlds together must have seen.

use std::collections::BTreeMap;

/// What the simulator does not see, or not often.
const ENDS: &[&str] = &[
    "dial dropped",
    "dial hangup",
    "Idle to Dial",
    "Dial to Idle",
    "Dial to Connect",
    "Connect to Dial",
    "play max_answer_seconds",
    "record ok",
    "record max_seconds",
    "record max_answer_seconds",
    "conf max_seconds",
    "conf max_answer_seconds",
    "conf conf_released",
    "conference released",
    "early media in a conference",
    "let be",
    "conference play ok",
    "conference play conf_released",
    "conference record stopped",
    "conference record conf_released",
    "conference record disk_full",
    "conference record io",
    "talking",
    "told 180",
    "told 183 with an answer",
    "refused 488",
    "refused 491",
    "refused 500",
    "accepted offer",
    "accepted none",
    "transfer timeout",
    "detect ok",
    "detect max_seconds",
    "detect hangup",
    "message timeout",
];

/// The worlds together must have seen every kind of end, or they prove nothing of it.
pub(super) fn saw_everything(told: &BTreeMap<String, u32>) {
    offhook_worlds::checks::saw_everything(told, ENDS.iter().map(|&end| end.to_owned()));
    assert!(told["released"] > 5_000, "{told:#?}");
}
