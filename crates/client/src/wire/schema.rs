//! The schemas of parameters whose elements have bounds of their own, and the words for what strings are.

use schemars::{Schema, SchemaGenerator, json_schema};

use super::limits::{CODECS_MAX, PATTERNS_MAX, WORD_MAX};

/// What a string is, where JSON Schema has no word for it: the `format` of parameters, and what it means.
pub const FORMATS: &[(&str, &str)] = &[
    ("codec", "the name of a codec"),
    ("country", "a country's code of two letters (ISO 3166)"),
    ("credential", "a user name or password, without control characters"),
    ("dial-string", "keys, 0-9*#A-D, and , for a pause"),
    ("display-name", "a name, without control characters"),
    ("event-pattern", "the name of an event, or its beginning and *"),
    (
        "file-name",
        "a file below its directory: no .., no backslash, and nothing that becomes one with % decoded",
    ),
    ("file-names", "one of those, or several joined by |"),
    ("group", "the name of a group of subscribers"),
    ("header-name", "the name of a SIP header that an application may set"),
    ("header-value", "the value of a SIP header, without control characters"),
    ("http-url", "http://… or https://…, without a user and without a fragment"),
    ("item-options", "key=value;key=value"),
    ("item-what", "a file, or a value or text to be said, as the type says"),
    ("keys", "a set of keys, 0-9*#A-D"),
    ("media-type", "a media type such as text/plain"),
    ("node-id", "the numbers of a node, a.b.c"),
    ("request-key", "printable ASCII characters"),
    ("res-id", "the name of a call or of a conference"),
    ("sip-host", "[sip:]host[:port]"),
    ("sip-uri", "[[sip:]user@]host[:port]"),
    ("subscription", "the name of a subscription"),
    ("text", "any text"),
    ("traceparent", "00-TRACE-PARENT-FLAGS, in lower-case hexadecimal digits (W3C Trace Context)"),
    ("webhook-id", "the id of a web hook, hexadecimal digits"),
    ("webhook-secret", "whsec_ and 24 to 64 bytes as base64, or several of those with spaces between"),
];

pub(super) fn codecs(_: &mut SchemaGenerator) -> Schema {
    words(CODECS_MAX, "codec")
}

pub(super) fn types(_: &mut SchemaGenerator) -> Schema {
    words(PATTERNS_MAX, "event-pattern")
}

fn words(most: usize, format: &str) -> Schema {
    json_schema!({
        "type": ["array", "null"],
        "minItems": 1,
        "maxItems": most,
        "items": { "type": "string", "minLength": 1, "maxLength": WORD_MAX, "format": format },
    })
}
