//! Header names and methods. Names compare without case and have compact forms (RFC 3261 §7.3.1, §7.3.3); methods
//! compare with case (§7.1).

use super::scan::lossy;

/// The header fields this user agent reads. Everything else is [`Name::Other`] and is only ever looked at by its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    Accept,
    Authorization,
    Allow,
    CallId,
    Contact,
    ContentDisposition,
    ContentEncoding,
    ContentLength,
    ContentTransferEncoding,
    ContentType,
    CSeq,
    Event,
    Expires,
    From,
    InfoPackage,
    MaxForwards,
    MinExpires,
    MinSe,
    ProxyAuthenticate,
    RAck,
    Reason,
    RecordRoute,
    ReferSub,
    ReferTo,
    ReferredBy,
    Require,
    RetryAfter,
    Route,
    RSeq,
    SessionExpires,
    SubscriptionState,
    Supported,
    Timestamp,
    To,
    Via,
    WwwAuthenticate,
    Other,
}

/// The longest name in the table below; anything longer is [`Name::Other`] without a look.
const LONGEST: usize = "content-transfer-encoding".len();

impl Name {
    /// Which header a field name means, in its long or compact form and in any case.
    pub(crate) fn of(text: &[u8]) -> Self {
        let mut lower = [0_u8; LONGEST];
        let Some(lower) = lower.get_mut(..text.len()) else { return Self::Other };
        lower.copy_from_slice(text);
        lower.make_ascii_lowercase();
        match &*lower {
            b"accept" => Self::Accept,
            b"authorization" => Self::Authorization,
            b"allow" => Self::Allow,
            b"call-id" | b"i" => Self::CallId,
            b"contact" | b"m" => Self::Contact,
            b"content-disposition" => Self::ContentDisposition,
            b"content-encoding" | b"e" => Self::ContentEncoding,
            b"content-length" | b"l" => Self::ContentLength,
            b"content-transfer-encoding" => Self::ContentTransferEncoding,
            b"content-type" | b"c" => Self::ContentType,
            b"cseq" => Self::CSeq,
            b"event" | b"o" => Self::Event,
            b"from" | b"f" => Self::From,
            b"info-package" => Self::InfoPackage,
            b"expires" => Self::Expires,
            b"max-forwards" => Self::MaxForwards,
            b"min-expires" => Self::MinExpires,
            b"min-se" => Self::MinSe,
            b"proxy-authenticate" => Self::ProxyAuthenticate,
            b"rack" => Self::RAck,
            b"reason" => Self::Reason,
            b"record-route" => Self::RecordRoute,
            b"refer-sub" => Self::ReferSub,
            b"refer-to" | b"r" => Self::ReferTo,
            b"referred-by" | b"b" => Self::ReferredBy,
            b"require" => Self::Require,
            b"retry-after" => Self::RetryAfter,
            b"route" => Self::Route,
            b"rseq" => Self::RSeq,
            b"session-expires" | b"x" => Self::SessionExpires,
            b"subscription-state" => Self::SubscriptionState,
            b"supported" | b"k" => Self::Supported,
            b"timestamp" => Self::Timestamp,
            b"to" | b"t" => Self::To,
            b"via" | b"v" => Self::Via,
            b"www-authenticate" => Self::WwwAuthenticate,
            _ => Self::Other,
        }
    }

    /// Whether a second field of this name makes the message ambiguous, and so bad (RFC 4475 §3.3.8, §3.3.9).
    pub(crate) fn is_single(self) -> bool {
        matches!(
            self,
            Self::CallId
                | Self::CSeq
                | Self::From
                | Self::To
                | Self::MaxForwards
                | Self::ContentLength
                | Self::ContentType
        )
    }
}

/// The methods, by what this user agent does with them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Method {
    Invite,
    Ack,
    Bye,
    Cancel,
    Options,
    Info,
    Message,
    Notify,
    Prack,
    Refer,
    Update,
    /// Defined by an RFC, not supported here: 405.
    Refused,
    /// Never heard of: 501.
    Unknown,
}

/// What stands in `Allow` (RFC 3261 §20.5).
pub(crate) const ALLOW: &str =
    "INVITE, ACK, BYE, CANCEL, OPTIONS, INFO, MESSAGE, NOTIFY, PRACK, REFER, UPDATE";

impl Method {
    /// Which method a token means.
    pub(crate) fn of(token: &[u8]) -> Self {
        match token {
            b"INVITE" => Self::Invite,
            b"ACK" => Self::Ack,
            b"BYE" => Self::Bye,
            b"CANCEL" => Self::Cancel,
            b"OPTIONS" => Self::Options,
            b"INFO" => Self::Info,
            b"MESSAGE" => Self::Message,
            b"NOTIFY" => Self::Notify,
            b"PRACK" => Self::Prack,
            b"REFER" => Self::Refer,
            b"UPDATE" => Self::Update,
            b"REGISTER" | b"SUBSCRIBE" | b"PUBLISH" => Self::Refused,
            _ => Self::Unknown,
        }
    }
}

/// The headers that the application hears of beside `X-*`: who calls, by RFC 3325, 3323, 3892 and as Remote-Party-ID had
/// it before; how the call came here, by RFC 5806, 7044 and 3326; what RFC 3261 and RFC 7433 have for people to see; which trace it
/// belongs to, by the header that W3C Trace Context has for HTTP.
const TOLD: [&str; 13] = [
    "P-Asserted-Identity",
    "P-Preferred-Identity",
    "Remote-Party-ID",
    "Privacy",
    "Diversion",
    "History-Info",
    "Referred-By",
    "Reason",
    "Subject",
    "Alert-Info",
    "Call-Info",
    "User-to-User",
    "traceparent",
];

/// The name by which the application hears of a header, if it does.
pub(crate) fn told(label: &[u8]) -> Option<String> {
    let is = |name: &str| label.eq_ignore_ascii_case(name.as_bytes());
    match label {
        b"b" | b"B" => Some("Referred-By".to_owned()),
        b"s" | b"S" => Some("Subject".to_owned()),
        _ if label.get(..2).is_some_and(|x| x.eq_ignore_ascii_case(b"X-")) => Some(lossy(label)),
        _ => TOLD.into_iter().find(|name| is(name)).map(str::to_owned),
    }
}

/// Whether this is a token (RFC 3261 §25.1): what methods, header names and parameter names are made of.
pub(crate) fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|&byte| is_token_byte(byte))
}

fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_any_form_and_case() {
        for (text, name) in [
            ("Via", Name::Via),
            ("v", Name::Via),
            ("V", Name::Via),
            ("cOnTeNt-LeNgTh", Name::ContentLength),
            ("l", Name::ContentLength),
            ("Proxy-Authenticate", Name::ProxyAuthenticate),
            ("Proxy-Authenticate-More", Name::Other),
            ("X-Account", Name::Other),
            ("", Name::Other),
        ] {
            assert_eq!(Name::of(text.as_bytes()), name, "{text}");
        }
    }

    #[test]
    fn methods_have_case() {
        assert_eq!(Method::of(b"INVITE"), Method::Invite);
        assert_eq!(Method::of(b"invite"), Method::Unknown);
        assert_eq!(Method::of(b"REGISTER"), Method::Refused);
    }
}
