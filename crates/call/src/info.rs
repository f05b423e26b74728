//! Digits by SIP INFO, in the two ways that gateways use and no RFC describes: `application/dtmf-relay` with lines
//! `Signal=5` and `Duration=160`, and `application/dtmf` with the bare key.

use std::time::Duration;

use offhook_media::event::Key;
use offhook_sip::event::Body;

/// What is taken where the INFO says no duration, or none that a key press can have.
const USUAL: Duration = Duration::from_millis(160);
/// No key press is longer: it bounds how much a finish key can take from the end of a recording.
const LONGEST: Duration = Duration::from_secs(5);

/// The key press that an INFO tells of.
pub(crate) fn digit(body: &Body) -> Option<(Key, Duration)> {
    let text = std::str::from_utf8(&body.bytes).ok()?;
    if is_type(body, "application/dtmf") {
        return Some((key(text.trim())?, USUAL));
    }
    if !is_type(body, "application/dtmf-relay") {
        return None;
    }
    let field = |name: &str| {
        let (_, value) = text
            .lines()
            .filter_map(|line| line.split_once('='))
            .find(|(field, _)| field.trim().eq_ignore_ascii_case(name))?;
        Some(value.trim())
    };
    let duration = field("duration").and_then(|value| value.parse().ok()).map(Duration::from_millis);
    Some((key(field("signal")?)?, duration.filter(|&duration| duration <= LONGEST).unwrap_or(USUAL)))
}

/// Whether a body is of a media type, whatever parameters it has.
pub(crate) fn is_type(body: &Body, media_type: &str) -> bool {
    let essence = body.content_type.split(';').next().unwrap_or_default();
    essence.trim().eq_ignore_ascii_case(media_type)
}

/// A key by its character, or, as some gateways have it, by its telephone-event code (10 is `*`).
fn key(text: &str) -> Option<Key> {
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        (Some(char), None) => Key::from_char(char),
        _ => text.parse().ok().and_then(Key::from_code),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(content_type: &str, body: &str, expected: Option<(char, u64)>) {
        let body = Body { content_type: content_type.to_owned(), bytes: body.as_bytes().to_vec() };
        let found = digit(&body).map(|(key, duration)| {
            (key.as_char(), u64::try_from(duration.as_millis()).expect("at most five seconds"))
        });
        assert_eq!(found, expected, "{body:?}");
    }

    #[test]
    fn keys_of_gateways() {
        check("application/dtmf-relay", "Signal=5\r\nDuration=160\r\n", Some(('5', 160)));
        check("Application/DTMF-Relay; charset=x", "signal = #\nDURATION= 250", Some(('#', 250)));
        check("application/dtmf-relay", "Signal=11\r\n", Some(('#', 160)));
        check("application/dtmf", "*\r\n", Some(('*', 160)));
        check("application/dtmf", "d", Some(('D', 160)));
    }

    #[test]
    fn what_is_no_key() {
        check("application/dtmf-relay", "Signal=\r\nDuration=160", None);
        check("application/dtmf-relay", "Duration=160", None);
        check("application/dtmf", "16", None);
        check("application/dtmf", "E", None);
        check("application/dtmf", "", None);
        check("text/plain", "5", None);
    }

    #[test]
    fn a_claimed_duration_is_bounded() {
        check("application/dtmf-relay", "Signal=1\r\nDuration=18446744073709551615", Some(('1', 160)));
        check("application/dtmf-relay", "Signal=1\r\nDuration=-5", Some(('1', 160)));
        check("application/dtmf-relay", "Signal=1\r\nDuration=5000", Some(('1', 5000)));
        check("application/dtmf-relay", "Signal=1\r\nDuration=5001", Some(('1', 160)));
    }
}
