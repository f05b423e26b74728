//! The door: every value of a request is looked at here, once. What passes is well formed, and whatever would break a
//! SIP message, a path or a bound does not get further.

use std::time::Duration;

use offhook_call::command::KeySet;
use offhook_call::id::{CallId, ConferenceId, NodeId};
use offhook_client::wire::limits::{
    CALLEES_MAX, CODECS_MAX, CONTENT_TYPE_MAX, CREDENTIAL_MAX, FILE_NAME_MAX, HEADER_MAX, HEADERS_MAX,
    KEY_SET_MAX, KEYS_MAX, MESSAGE_MAX, NAME_MAX, PARTS_MAX, PARTS_MIN, RES_ID_MAX, USER_DATA_MAX,
    VOLUME_MAX, VOLUME_MIN,
};
use offhook_client::wire::{self, ErrorData};
use offhook_media::event::{Codec, Country, Dial, Key, Kinds, RecordFormat};
use offhook_sip::event::{Body, Credentials, Header};

use super::params::Invalid;
use super::{error, names, uri};
use crate::config::value::{countries, names_of_codecs};
use crate::trace::{TRACEPARENT, TraceId};

pub(crate) fn invalid(param: impl Into<String>, expected: impl Into<String>) -> ErrorData {
    Invalid::new(param, expected).into()
}

/// What could be the name of something.
pub(crate) fn res_id(param: &str, res_id: &str) -> Result<(), ErrorData> {
    if res_id.chars().count() > RES_ID_MAX {
        return Err(invalid(param, format!("at most {RES_ID_MAX} characters")));
    }
    Ok(())
}

/// The call that a `res_id` names. Whatever is not the name of a call of this node is the name of no call; that of a
/// conference is a mistake of another kind, since it may well be there.
pub(crate) fn call(node: NodeId, param: &str, name: &str) -> Result<CallId, ErrorData> {
    res_id(param, name)?;
    node.parse_res_id(name).ok_or_else(|| match node.parse_conf_res_id(name) {
        Some(_) => invalid(param, format!("the res_id of a call, and {name} is a conference's")),
        None => ErrorData::ResourceNotFound { res_id: name.to_owned() },
    })
}

/// The conference that a `res_id` names, likewise.
pub(crate) fn conference(node: NodeId, param: &str, name: &str) -> Result<ConferenceId, ErrorData> {
    res_id(param, name)?;
    node.parse_conf_res_id(name).ok_or_else(|| match node.parse_res_id(name) {
        Some(_) => invalid(param, format!("the res_id of a conference, and {name} is a call's")),
        None => ErrorData::ResourceNotFound { res_id: name.to_owned() },
    })
}

/// How loud somebody is heard, in dB.
pub(crate) fn decibels(param: &str, volume: i32) -> Result<i8, ErrorData> {
    let volume = between(param, volume, VOLUME_MIN, VOLUME_MAX)?;
    Ok(i8::try_from(volume).unwrap_or_default())
}

/// A number within its bounds.
pub(crate) fn between<T>(param: &str, value: T, least: T, most: T) -> Result<T, ErrorData>
where
    T: PartialOrd + std::fmt::Display,
{
    if value >= least && value <= most {
        Ok(value)
    } else {
        Err(invalid(param, format!("an integer of {least} to {most}")))
    }
}

/// A duration in seconds, at least one.
pub(crate) fn seconds(param: &str, value: u32, most: u32) -> Result<Duration, ErrorData> {
    between(param, value, 1, most).map(|seconds| Duration::from_secs(seconds.into()))
}

pub(crate) fn user_data(value: Option<String>) -> Result<Option<String>, ErrorData> {
    if value.as_ref().is_some_and(|text| text.len() > USER_DATA_MAX) {
        return Err(invalid("user_data", format!("at most {USER_DATA_MAX} bytes")));
    }
    Ok(value)
}

/// How few members end a conference.
pub(crate) fn threshold(param: &str, value: i32) -> Result<i32, ErrorData> {
    between(param, value, PARTS_MIN, PARTS_MAX)
}

/// A full SIP URI.
pub(crate) fn full_uri(param: &str, value: &str) -> Result<String, ErrorData> {
    uri::full(value).ok_or_else(|| invalid(param, uri::URI))
}

/// A full SIP URI that an INVITE can be sent to.
pub(crate) fn callee(param: &str, value: &str) -> Result<String, ErrorData> {
    let uri = full_uri(param, value)?;
    if uri::is_reachable(&uri) { Ok(uri) } else { Err(invalid(param, uri::TRANSPORT)) }
}

/// The callees of an outbound call, at least one.
pub(crate) fn callees(param: &str, callees: &wire::Callees) -> Result<Vec<String>, ErrorData> {
    match callees {
        wire::Callees::One(uri) => Ok(vec![callee(param, uri)?]),
        wire::Callees::Several(uris) if uris.is_empty() || uris.len() > CALLEES_MAX => {
            Err(invalid(param, format!("a URI, or a list of 1 to {CALLEES_MAX}")))
        }
        wire::Callees::Several(uris) => {
            uris.iter().enumerate().map(|(index, uri)| callee(&format!("{param}[{index}]"), uri)).collect()
        }
    }
}

/// A message: what it says, and its media type (RFC 3261 §25.1 `media-type`).
pub(crate) fn message(content: String, content_type: String) -> Result<Body, ErrorData> {
    if content.is_empty() || content.len() > MESSAGE_MAX {
        return Err(invalid("content", format!("1 to {MESSAGE_MAX} bytes")));
    }
    let essence = content_type.split(';').next().unwrap_or_default().trim_end();
    let is_type = essence.split_once('/').is_some_and(|(kind, subtype)| is_token(kind) && is_token(subtype));
    let printable = content_type.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
    if !is_type || !printable || content_type.len() > CONTENT_TYPE_MAX {
        let expected = format!("a media type such as text/plain, of at most {CONTENT_TYPE_MAX} bytes");
        return Err(invalid("content_type", expected));
    }
    Ok(Body { content_type, bytes: content.into_bytes() })
}

/// What to listen for: one kind at least, each once.
pub(crate) fn kinds(param: &str, kinds: &[wire::DetectKind]) -> Result<Kinds, ErrorData> {
    let each_once = kinds.iter().enumerate().all(|(index, kind)| !kinds[..index].contains(kind));
    if kinds.is_empty() || !each_once {
        return Err(invalid(param, "one or more of voice, amd, beep, tones and fax, each once"));
    }
    Ok(kinds.iter().map(|&kind| names::detect_kind(kind)).collect())
}

/// A country whose call-progress tones are known.
pub(crate) fn country(param: &str, code: &str) -> Result<Country, ErrorData> {
    Country::from_code(code).ok_or_else(|| invalid(param, format!("one of {}", countries())))
}

/// `host:port`.
pub(crate) fn host(param: &str, value: &str) -> Result<String, ErrorData> {
    uri::host(value).ok_or_else(|| invalid(param, uri::HOST))
}

pub(crate) fn codec(param: &str, name: &str) -> Result<Codec, ErrorData> {
    names::codec(name).ok_or_else(|| invalid(param, format!("one of {}", names_of_codecs())))
}

/// A list of codecs; none for null.
pub(crate) fn codecs(list: Option<Vec<String>>) -> Result<Vec<Codec>, ErrorData> {
    let Some(list) = list else { return Ok(Vec::new()) };
    if list.is_empty() || list.len() > CODECS_MAX {
        return Err(invalid("codecs", format!("null, or a list of 1 to {CODECS_MAX} names")));
    }
    list.iter().enumerate().map(|(index, name)| codec(&format!("codecs[{index}]"), name)).collect()
}

/// A set of keys, which may be empty.
pub(crate) fn key_set(param: &str, keys: &str) -> Result<KeySet, ErrorData> {
    let short = Some(keys).filter(|keys| keys.len() <= KEY_SET_MAX);
    let expected = || invalid(param, format!("at most {KEY_SET_MAX} keys of 0-9*#A-D"));
    short.and_then(|keys| KeySet::parse(keys).ok()).ok_or_else(expected)
}

/// Keys to send, with pauses.
pub(crate) fn digits(param: &str, keys: &str) -> Result<Vec<Dial>, ErrorData> {
    let expected = || invalid(param, format!("1 to {KEYS_MAX} of 0-9*#A-D and , (pause)"));
    if keys.is_empty() || keys.len() > KEYS_MAX as usize {
        return Err(expected());
    }
    let dial = |char| if char == ',' { Some(Dial::Pause) } else { Key::from_char(char).map(Dial::Key) };
    keys.chars().map(dial).collect::<Option<_>>().ok_or_else(expected)
}

/// The longest name in a folder of Linux (NAME_MAX).
const FILE_PART_MAX: usize = 255;

/// A file name below its directory. The disk looks again, at links too; this keeps nonsense from getting there.
pub(crate) fn file(param: &str, name: &str) -> Result<String, ErrorData> {
    if name.is_empty() || name.len() > FILE_NAME_MAX {
        return Err(invalid(param, format!("a file name of 1 to {FILE_NAME_MAX} bytes")));
    }
    if !is_plain_name(name.as_bytes()) {
        let detail = "no plain name of a file below its directory";
        return Err(error::forbidden(param.to_owned(), name.to_owned(), detail, None));
    }
    if name.split('/').any(|part| part.len() > FILE_PART_MAX) {
        let expected = format!("a file name of which no part has more than {FILE_PART_MAX} bytes");
        return Err(invalid(param, expected));
    }
    Ok(name.to_owned())
}

/// How often a name is decoded to see what it would become. Nobody does it more often, and what is left then is refused.
const DECODED: usize = 4;

/// Whether a name stays below its directory, also for whoever takes `%2e` for a dot. We do not, but recordings are read by
/// others, over HTTP for one.
fn is_plain_name(name: &[u8]) -> bool {
    let mut name = name.to_vec();
    for _ in 0..DECODED {
        let leaves = name.starts_with(b"/") || name.split(|&byte| byte == b'/').any(|part| part == b"..");
        // The bytes C0, C1 and above F4 are in no UTF-8 but in overlong forms of what must not be there.
        let is_bad =
            |byte: &u8| byte.is_ascii_control() || *byte == b'\\' || matches!(byte, 0xC0 | 0xC1 | 0xF5..);
        let has_controls = || String::from_utf8_lossy(&name).chars().any(char::is_control);
        if leaves || name.iter().any(is_bad) || has_controls() {
            return false;
        }
        let decoded = decoded(&name);
        if decoded == name {
            return true;
        }
        name = decoded;
    }
    false
}

/// `%` and two hexadecimal digits as the byte that they are, once.
fn decoded(name: &[u8]) -> Vec<u8> {
    let digit = |at: usize| name.get(at).and_then(|&byte| char::from(byte).to_digit(16));
    let mut decoded = Vec::with_capacity(name.len());
    let mut at = 0;
    while let Some(&byte) = name.get(at) {
        match (byte, digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                decoded.push(u8::try_from(high << 4 | low).unwrap_or(byte));
                at += 3;
            }
            _ => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
    decoded
}

/// A name for a recording. Whoever opens the file goes by its ending, so that one which is known must be that of the format;
/// any other, or none, is as good. Nothing is written raw, and raw files are known by their endings alone.
pub(crate) fn recording(param: &str, name: &str, format: RecordFormat) -> Result<String, ErrorData> {
    let name = file(param, name)?;
    let endings: &[&str] = match format {
        RecordFormat::Mp3 => &["mp3"],
        RecordFormat::Opus => &["opus", "ogg", "oga"],
        _ => &["wav"],
    };
    let ending = name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase()).unwrap_or_default();
    if ENDINGS.contains(&ending.as_str()) && !endings.contains(&ending.as_str()) {
        let number = format.api_number();
        let expected =
            format!("the ending .{} of record_format {number}, not .{ending}", endings.join(" or ."));
        return Err(invalid(param, expected));
    }
    Ok(name)
}

/// The endings of names that say what is in a file of sound.
const ENDINGS: [&str; 12] =
    ["wav", "mp3", "opus", "ogg", "oga", "flac", "alaw", "al", "ulaw", "ul", "gsm", "g722"];

/// A format of recordings.
pub(crate) fn record_format(number: u32) -> Result<RecordFormat, ErrorData> {
    RecordFormat::from_api(number).ok_or_else(|| invalid("record_format", "1, 2, 3, 4, 5, 6, 7 or 8"))
}

/// The headers of an INVITE that an application may set beside `X-*`: they speak of the caller and of the way the call took,
/// and of nothing that SIP itself goes by.
const HEADERS: [&str; 11] = [
    "P-Asserted-Identity",
    "P-Preferred-Identity",
    "Privacy",
    "Diversion",
    "History-Info",
    "Subject",
    "Alert-Info",
    "Call-Info",
    "User-to-User",
    "Referred-By",
    "Reason",
];

/// RFC 3261 §25.1 `token`.
fn is_token(text: &str) -> bool {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&byte);
    !text.is_empty() && text.bytes().all(good)
}

/// Extra headers of an INVITE.
pub(crate) fn headers(headers: std::collections::BTreeMap<String, String>) -> Result<Vec<Header>, ErrorData> {
    if headers.len() > HEADERS_MAX {
        return Err(invalid("headers", format!("at most {HEADERS_MAX} headers")));
    }
    let check = |(name, value): (String, String)| {
        let is_ours = name.len() > 2
            && name.len() <= HEADER_MAX
            && name.get(..2).is_some_and(|start| start.eq_ignore_ascii_case("x-"))
            && is_token(&name);
        if !is_ours && !HEADERS.iter().any(|known| known.eq_ignore_ascii_case(&name)) {
            let expected = format!("a header name that begins with X-, or one of {}", HEADERS.join(", "));
            return Err(invalid(format!("headers.{name}"), expected));
        }
        if value.len() > HEADER_MAX || value.chars().any(char::is_control) {
            let expected = format!("at most {HEADER_MAX} bytes without control characters");
            return Err(invalid(format!("headers.{name}"), expected));
        }
        Ok(Header { name, value })
    };
    headers.into_iter().map(check).collect()
}

/// The header that carries on a trace; none for null.
pub(crate) fn traceparent(param: &str, value: Option<String>) -> Result<Option<Header>, ErrorData> {
    let Some(value) = value else { return Ok(None) };
    if TraceId::of(&value).is_none() {
        return Err(invalid(param, "null, or 00-TRACE-PARENT-FLAGS in lower-case hexadecimal digits"));
    }
    Ok(Some(Header { name: TRACEPARENT.to_owned(), value }))
}

/// A display name; none for null and for nothing.
pub(crate) fn name(param: &str, name: Option<String>) -> Result<Option<String>, ErrorData> {
    let Some(name) = name.filter(|name| !name.is_empty()) else { return Ok(None) };
    if name.len() > NAME_MAX || name.chars().any(char::is_control) {
        return Err(invalid(param, format!("null, or at most {NAME_MAX} bytes without control characters")));
    }
    Ok(Some(name))
}

/// What a digest challenge is answered with, if anything.
pub(crate) fn credentials(
    username: Option<String>,
    password: Option<String>,
) -> Result<Option<Credentials>, ErrorData> {
    let good = |param: &str, text: String| {
        if text.is_empty() || text.len() > CREDENTIAL_MAX || text.chars().any(char::is_control) {
            let expected = format!("1 to {CREDENTIAL_MAX} bytes without control characters");
            return Err(invalid(param, expected));
        }
        Ok(text)
    };
    let username = username.map(|text| good("sip_auth_username", text)).transpose()?;
    let password = password.map(|text| good("sip_auth_password", text)).transpose()?;
    match (username, password) {
        (None, None) => Ok(None),
        (Some(username), Some(password)) => Ok(Some(Credentials { username, password })),
        (None, Some(_)) => Err(invalid("sip_auth_username", "a user name to go with sip_auth_password")),
        (Some(_), None) => Err(invalid("sip_auth_password", "a password to go with sip_auth_username")),
    }
}
