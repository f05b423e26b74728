//! Which events a subscription wants: the `types` of `sys.event.subscribe`.

use offhook_client::wire::{EVENT_TYPES, OPT_IN_EVENTS};

/// A set of event names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Types(Vec<&'static str>);

/// A pattern that no event's name fits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownPattern {
    /// Which of the patterns, from 0.
    pub index: usize,
}

impl Types {
    /// All but those that must be named.
    pub fn usual() -> Self {
        Self(EVENT_TYPES.iter().copied().filter(|name| !OPT_IN_EVENTS.contains(name)).collect())
    }

    /// Those that fit one of `patterns`: a name, or the beginning of names followed by `*`. A pattern counts as naming
    /// an opt-in event.
    pub fn parse(patterns: &[String]) -> Result<Self, UnknownPattern> {
        let fits = |pattern: &String, name: &str| match pattern.strip_suffix('*') {
            Some(beginning) => name.starts_with(beginning),
            None => name == pattern,
        };
        let known = |pattern| EVENT_TYPES.iter().any(|name| fits(pattern, name));
        if let Some(index) = patterns.iter().position(|pattern| !known(pattern)) {
            return Err(UnknownPattern { index });
        }
        let wanted = |name: &&str| patterns.iter().any(|pattern| fits(pattern, name));
        Ok(Self(EVENT_TYPES.iter().copied().filter(wanted).collect()))
    }

    /// Whether who hears these hears of inbound calls, and so can act on them.
    pub fn has_calls(&self) -> bool {
        self.contains("sys.call.on_incoming")
    }

    /// Whether an event of this name is wanted.
    pub fn contains(&self, name: &str) -> bool {
        self.0.contains(&name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(patterns: &[&str], wanted: &[&str], not_wanted: &[&str]) {
        let patterns: Vec<String> = patterns.iter().map(ToString::to_string).collect();
        let types = Types::parse(&patterns).unwrap();
        for name in wanted {
            assert!(types.contains(name), "{name} is wanted by {patterns:?}");
        }
        for name in not_wanted {
            assert!(!types.contains(name), "{name} is not wanted by {patterns:?}");
        }
    }

    #[test]
    fn patterns_name_events() {
        check(
            &["sys.call.on_dtmf"],
            &["sys.call.on_dtmf"],
            &["sys.call.on_incoming", "sys.call.on_state_changed"],
        );
        check(&["sys.call.*"], &["sys.call.on_dtmf", "sys.call.on_released"], &[]);
        check(
            &["sys.call.on_r*"],
            &["sys.call.on_ringing", "sys.call.on_released"],
            &["sys.call.on_incoming"],
        );
    }

    #[test]
    fn the_usual_events_are_those_that_need_not_be_named() {
        let usual = Types::usual();
        assert!(usual.contains("sys.call.on_incoming") && usual.contains("sys.call.on_released"));
        assert!(!usual.contains("sys.call.on_dtmf") && !usual.contains("sys.call.on_state_changed"));
    }

    /// Whoever leaves out `types` has to know what that leaves out (`call-api.md` §7 has them as opt-in).
    #[test]
    fn the_readme_says_what_must_be_named() {
        let readme = include_str!("../../../../README.md");
        let (_, text) = readme.split_once("What must be named,").expect("it says so");
        let (text, _) = text.split_once("\n\n").expect("the end of that");
        let named = |name: &&&str| text.contains(&format!("`{name}`"));
        assert_eq!(EVENT_TYPES.iter().filter(named).count(), OPT_IN_EVENTS.len(), "{text}");
        assert_eq!(OPT_IN_EVENTS.iter().filter(named).count(), OPT_IN_EVENTS.len(), "{text}");
    }

    #[test]
    fn a_pattern_that_fits_nothing_is_named() {
        let patterns = ["sys.call.on_incoming".to_owned(), "sys.call.on_incomming".to_owned()];
        assert_eq!(Types::parse(&patterns), Err(UnknownPattern { index: 1 }));
    }
}
