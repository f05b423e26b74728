//! What UPDATE, reliable provisional responses and session timers add to messages (RFC 3311, RFC 3262 §7, RFC 4028 §4,
//! §5), as views of the raw fields.

use std::time::Duration;

use super::{Address, Message, Name, Params, cut, number, trim};

/// The largest RSeq (RFC 3262 §7.1).
const MAX_RSEQ: u32 = u32::MAX;
/// The largest CSeq number in a RAck (RFC 3261 §8.1.1.5).
const MAX_CSEQ: u32 = 0x7fff_ffff;

/// The sides of one transaction, as the `refresher` parameter names them (RFC 4028 §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refresher {
    /// Who sent the request.
    Uac,
    /// Who answered it.
    Uas,
}

/// The value of Session-Expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SessionExpires {
    pub(crate) interval: Duration,
    pub(crate) refresher: Option<Refresher>,
}

impl SessionExpires {
    fn parse(value: &[u8]) -> Option<Self> {
        let (seconds, params) = cut(value, b';');
        let interval = Duration::from_secs(number(seconds, u32::MAX)?.into());
        let params = params.map_or(Some(Params::default()), Params::parse)?;
        let refresher = match params.get("refresher") {
            None => None,
            Some(side) if side.eq_ignore_ascii_case("uac") => Some(Refresher::Uac),
            Some(side) if side.eq_ignore_ascii_case("uas") => Some(Refresher::Uas),
            Some(_) => return None,
        };
        Some(Self { interval, refresher })
    }
}

impl Message {
    /// Whether an option tag or a method stands in the list of a header (Supported, Require, Allow).
    pub(crate) fn lists(&self, name: Name, token: &str) -> bool {
        let elements = self.list(name).unwrap_or_default();
        elements.iter().any(|element| element.eq_ignore_ascii_case(token.as_bytes()))
    }

    /// Whether there is a field of a name at all.
    pub(crate) fn has(&self, name: Name) -> bool {
        self.raw_values(name).next().is_some()
    }

    /// Session-Expires; `None` where there is none, `Some(None)` where it is bad.
    pub(crate) fn session_expires(&self) -> Option<Option<SessionExpires>> {
        self.value(Name::SessionExpires).map(|value| SessionExpires::parse(&value))
    }

    /// Min-SE.
    pub(crate) fn min_se(&self) -> Option<Duration> {
        let value = self.value(Name::MinSe)?;
        number(cut(&value, b';').0, u32::MAX).map(|seconds| Duration::from_secs(seconds.into()))
    }

    /// The number of a reliable provisional response: one that requires 100rel and has an RSeq.
    pub(crate) fn rseq(&self) -> Option<u32> {
        let reliable = self.lists(Name::Require, "100rel");
        let number = number(&self.value(Name::RSeq)?, MAX_RSEQ)?;
        (reliable && number > 0).then_some(number)
    }

    /// Which response to an INVITE a PRACK acknowledges: RSeq, and the number of the INVITE.
    pub(crate) fn rack(&self) -> Option<(u32, u32)> {
        let value = self.value(Name::RAck)?;
        let mut parts = value.split(u8::is_ascii_whitespace).map(trim).filter(|part| !part.is_empty());
        let rack = (number(parts.next()?, MAX_RSEQ)?, number(parts.next()?, MAX_CSEQ)?);
        (parts.next()? == b"INVITE" && parts.next().is_none()).then_some(rack)
    }

    /// The URI of the first Contact; `None` where there is none, `Some(None)` where it is bad.
    pub(crate) fn contact(&self) -> Option<Option<String>> {
        let Some(contacts) = self.list(Name::Contact) else { return Some(None) };
        contacts.first().map(|contact| Address::parse(contact).map(|contact| contact.uri))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(fields: &str) -> Message {
        Message::parse(format!("SIP/2.0 183 x\r\n{fields}\r\n").as_bytes()).unwrap()
    }

    #[test]
    fn session_timers() {
        let expires = |value: &str| message(&format!("{value}\r\n")).session_expires();
        let good = |seconds, refresher| {
            Some(Some(SessionExpires { interval: Duration::from_secs(seconds), refresher }))
        };
        assert_eq!(expires("Session-Expires: 90"), good(90, None));
        assert_eq!(expires("x: 4000;Refresher=UAC"), good(4000, Some(Refresher::Uac)));
        assert_eq!(expires("X:1 ; a=b;refresher = uas"), good(1, Some(Refresher::Uas)));
        for bad in ["-1", "", "90s", "4294967296", "90;refresher=me", "90;;"] {
            assert_eq!(expires(&format!("Session-Expires: {bad}")), Some(None), "{bad}");
        }
        assert_eq!(expires("Expires: 90"), None);
        assert_eq!(message("Min-SE: 120;a\r\n").min_se(), Some(Duration::from_secs(120)));
    }

    #[test]
    fn reliable_responses() {
        let rseq = |fields: &str| message(fields).rseq();
        assert_eq!(rseq("Require: x, 100Rel\r\nRSeq: 1\r\n"), Some(1));
        assert_eq!(rseq("Require: 100rel\r\n"), None);
        assert_eq!(rseq("RSeq: 1\r\n"), None);
        assert_eq!(rseq("Require: 100rel\r\nRSeq: 0\r\n"), None);
        let rack = |value: &str| message(&format!("RAck: {value}\r\n")).rack();
        assert_eq!(rack("776656  1 INVITE"), Some((776_656, 1)));
        for bad in ["1 INVITE", "1 1 invite", "1 1 INVITE x", "a 1 INVITE", "1 2147483648 INVITE", ""] {
            assert_eq!(rack(bad), None, "{bad}");
        }
    }
}
