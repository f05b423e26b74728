//! The trace that a call belongs to ([W3C Trace Context](https://www.w3.org/TR/trace-context/)): its number stands in every line of the
//! log that is of the call, so that what an application, this node and a gateway have logged of it can be put together.

use std::fmt;

use offhook_sip::event::Header;

/// The header, of HTTP and of SIP, that carries it.
pub(crate) const TRACEPARENT: &str = "traceparent";

/// The number of a trace, not 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceId(u128);

impl TraceId {
    /// A new one.
    pub(crate) fn random() -> Self {
        let mut bytes = [0; 16];
        // Without random bytes there is still a line of the log, only not a number to find it by.
        let _ = getrandom::fill(&mut bytes);
        Self(u128::from_ne_bytes(bytes).max(1))
    }

    /// That of a `traceparent`: `00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01`.
    pub(crate) fn of(traceparent: &str) -> Option<Self> {
        let fields: Vec<&str> = traceparent.split('-').collect();
        let [version, trace, parent, flags] = fields[..] else { return None };
        let is_good = hex(version, 2) && version != "ff" && hex(parent, 16) && hex(flags, 2);
        let has_parent = parent.bytes().any(|byte| byte != b'0');
        Self::parse(trace).filter(|_| is_good && has_parent)
    }

    /// From its 32 digits.
    pub fn parse(digits: &str) -> Option<Self> {
        let number = u128::from_str_radix(digits, 16).ok().filter(|&number| number > 0);
        number.filter(|_| hex(digits, 32)).map(Self)
    }

    /// The `traceparent` of something that we ask within it, which has a number of its own there.
    pub(crate) fn traceparent(self) -> String {
        let mut bytes = [0; 8];
        // Any number will do that is not 0.
        let _ = getrandom::fill(&mut bytes);
        format!("00-{self}-{:016x}-01", u64::from_ne_bytes(bytes).max(1))
    }

    /// That which headers carry, if they do.
    pub(crate) fn among(headers: &[Header]) -> Option<Self> {
        let header = headers.iter().find(|header| header.name.eq_ignore_ascii_case(TRACEPARENT))?;
        Self::of(header.value.trim())
    }
}

/// Whether a text is so many digits, in lower case, as the standard wants it.
fn hex(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of the standard, §3.2.
    #[test]
    fn a_traceparent_as_the_standard_has_it() {
        for (text, trace) in [
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "4bf92f3577b34da6a3ce929d0e0e4736"),
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00", "4bf92f3577b34da6a3ce929d0e0e4736"),
            ("cc-0000000000000000000000000000000a-00f067aa0ba902b7-01", "0000000000000000000000000000000a"),
        ] {
            assert_eq!(TraceId::of(text).map(|trace| trace.to_string()).as_deref(), Some(trace));
        }
        for text in [
            "",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
            "00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(TraceId::of(text), None, "{text}");
        }
    }

    #[test]
    fn a_new_one_is_another_one() {
        assert_ne!(TraceId::random(), TraceId::random());
    }

    /// What we ask within a trace is of the same one, and no two requests are one.
    #[test]
    fn what_is_asked_within_a_trace_names_it() {
        let trace = TraceId::parse("4bf92f3577b34da6a3ce929d0e0e4736").unwrap();
        let (one, other) = (trace.traceparent(), trace.traceparent());
        assert_eq!((TraceId::of(&one), TraceId::of(&other)), (Some(trace), Some(trace)));
        assert_ne!(one, other);
        for digits in ["", "0", "4BF92F3577B34DA6A3CE929D0E0E4736", "00000000000000000000000000000000"] {
            assert_eq!(TraceId::parse(digits), None, "{digits}");
        }
    }
}
