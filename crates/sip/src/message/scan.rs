//! The lexical leaves that every typed view shares: white space, quoted strings, lists and parameters (RFC 3261
//! §25.1). All of them are linear, none of them slices by an index it has not checked.

use std::borrow::Cow;

/// Removes white space (spaces, tabs and line folds) from both ends.
pub(crate) fn trim(text: &[u8]) -> &[u8] {
    text.trim_ascii()
}

/// The value on one line: each fold (CRLF and white space) means one space (RFC 3261 §7.3.1).
pub(crate) fn unfold(value: &[u8]) -> Cow<'_, [u8]> {
    if !value.contains(&b'\n') {
        return Cow::Borrowed(value);
    }
    let mut line = Vec::with_capacity(value.len());
    let mut folding = false;
    for &byte in value {
        match byte {
            b'\r' | b'\n' => folding = true,
            b' ' | b'\t' if folding => {}
            _ => {
                if folding {
                    line.push(b' ');
                    folding = false;
                }
                line.push(byte);
            }
        }
    }
    Cow::Owned(line)
}

/// Splits at a separator outside of quoted strings and angle brackets; the parts are trimmed and may be empty.
/// `None` where a quote is left open.
pub(crate) fn split(text: &[u8], separator: u8) -> Option<Vec<&[u8]>> {
    let mut parts = Vec::new();
    let mut rest = text;
    loop {
        match find(rest, separator)? {
            Some(at) => {
                let (part, tail) = rest.split_at_checked(at)?;
                parts.push(trim(part));
                rest = tail.get(1..)?;
            }
            None => {
                parts.push(trim(rest));
                return Some(parts);
            }
        }
    }
}

/// Where a byte stands outside of quoted strings and angle brackets: `None` where a quote is left open before it is
/// found, `Some(None)` where the text does not have it. Looking for `<` itself works.
pub(crate) fn find(text: &[u8], wanted: u8) -> Option<Option<usize>> {
    let mut quoted = false;
    let mut escaped = false;
    let mut angled = false;
    for (at, &byte) in text.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' if !angled => quoted = !quoted,
            _ if quoted => {}
            _ if byte == wanted && !angled => return Some(Some(at)),
            b'<' => angled = true,
            b'>' => angled = false,
            _ => {}
        }
    }
    if quoted { None } else { Some(None) }
}

/// The text up to a separator, and what follows it; both trimmed.
pub(crate) fn cut(text: &[u8], separator: u8) -> (&[u8], Option<&[u8]>) {
    match text.iter().position(|&byte| byte == separator).and_then(|at| text.split_at_checked(at)) {
        Some((head, tail)) => (trim(head), tail.get(1..).map(trim)),
        None => (trim(text), None),
    }
}

/// A quoted string without its quotes and escapes; other text as it is.
pub(crate) fn unquote(text: &[u8]) -> Cow<'_, [u8]> {
    let Some(inner) = text.strip_prefix(b"\"").and_then(|text| text.strip_suffix(b"\"")) else {
        return Cow::Borrowed(text);
    };
    let mut plain = Vec::with_capacity(inner.len());
    let mut escaped = false;
    for &byte in inner {
        if byte == b'\\' && !escaped {
            escaped = true;
        } else {
            escaped = false;
            plain.push(byte);
        }
    }
    Cow::Owned(plain)
}

/// Whether a character steers those around it instead of standing for itself: control characters, and those that turn the
/// direction of what follows (Unicode Annex 9), by which a name could be shown as another one.
fn steers(character: char) -> bool {
    let turns = matches!(character, '\u{61c}' | '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    character.is_control() || turns
}

/// For people and for strings: invalid UTF-8 and characters that steer others are replaced, so that nothing from the wire can
/// end a line of a log, steer a terminal or read backwards (reliability P9). A tab is a space.
pub(crate) fn lossy(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    if text.contains(steers) {
        let shown = |character: char| match character {
            '\t' => ' ',
            character if steers(character) => char::REPLACEMENT_CHARACTER,
            character => character,
        };
        return text.chars().map(shown).collect();
    }
    text.into_owned()
}

/// A decimal number of digits only; `None` for signs, blanks, letters and anything above `max`.
pub(crate) fn number(text: &[u8], max: u32) -> Option<u32> {
    if text.is_empty() {
        return None;
    }
    text.iter()
        .try_fold(0_u32, |sum, &byte| {
            let digit = char::from(byte).to_digit(10)?;
            sum.checked_mul(10)?.checked_add(digit)
        })
        .filter(|&value| value <= max)
}

/// What follows the first line.
pub(crate) fn after_line(bytes: &[u8]) -> &[u8] {
    bytes.iter().position(|&byte| byte == b'\n').and_then(|at| bytes.get(at + 1..)).unwrap_or_default()
}

/// The first field with its folds, and what follows it.
pub(crate) fn fold_at(bytes: &[u8]) -> (&[u8], &[u8]) {
    let mut rest = after_line(bytes);
    while matches!(rest.first(), Some(b' ' | b'\t')) {
        rest = after_line(rest);
    }
    bytes.split_at_checked(bytes.len() - rest.len()).unwrap_or((bytes, b""))
}

/// The tag in a value of From or To, where the value has the shape that any real one has.
pub(crate) fn tag_of(value: &[u8]) -> Option<&[u8]> {
    let params = value.rsplit(|&byte| byte == b'>').next().unwrap_or_default();
    params.split(|&byte| byte == b';').skip(1).find_map(|param| {
        let (name, tag) = cut(param, b'=');
        name.eq_ignore_ascii_case(b"tag").then(|| tag.unwrap_or_default())
    })
}

/// The most parameters of one value. Real ones have a handful; each costs an allocation.
const MAX_PARAMS: usize = 64;

/// The parameters of a header value: `;name=value;flag`. Names compare without case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Params(Vec<(String, Option<String>)>);

impl Params {
    /// Reads the parameters after the first `;`. `None` where one has no name, a quote is left open, or there are more
    /// than [`MAX_PARAMS`].
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let mut params = Vec::new();
        for part in split(text, b';')? {
            let (name, value) = cut(part, b'=');
            if name.is_empty() || params.len() == MAX_PARAMS {
                return None;
            }
            params.push((lossy(name).to_ascii_lowercase(), value.map(|value| lossy(&unquote(value)))));
        }
        Some(Self(params))
    }

    /// The value of a parameter; the empty string for a bare flag. `name` in lower case.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let (_, value) = self.0.iter().find(|(own, _)| own == name)?;
        Some(value.as_deref().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_respect_quotes_and_brackets() {
        let parts = split(b"\"a, \\\"b\" <sip:x,y> , c", b',').unwrap();
        assert_eq!(parts, [b"\"a, \\\"b\" <sip:x,y>".as_slice(), b"c"]);
        assert_eq!(split(b"\"open, c", b','), None);
        assert_eq!(split(b"", b',').unwrap(), [b""]);
    }

    #[test]
    fn numbers_are_digits_only() {
        for (text, value) in [
            ("0", Some(0)),
            ("0009", Some(9)),
            ("2147483647", Some(2_147_483_647)),
            ("2147483648", None),
            ("4294967296", None),
            ("99999999999999999999", None),
            ("-1", None),
            ("+1", None),
            ("1 ", None),
            ("0x1", None),
            ("", None),
            ("٣", None),
        ] {
            assert_eq!(number(text.as_bytes(), 0x7fff_ffff), value, "{text}");
        }
    }

    #[test]
    fn a_fold_is_one_space() {
        assert_eq!(&*unfold(b"a\r\n \t b"), b"a b");
        assert_eq!(&*unfold(b"a b"), b"a b");
    }

    #[test]
    fn quoted_strings_lose_quotes_and_escapes() {
        assert_eq!(&*unquote(br#""J \\\"x\" y""#), br#"J \"x" y"#);
        assert_eq!(&*unquote(b"plain"), b"plain");
        assert_eq!(&*unquote(b"\""), b"\"");
    }

    #[test]
    fn parameters() {
        let params = Params::parse(b" Tag = 98asjd8 ; lr; x=\"a;b\"").unwrap();
        assert_eq!(params.get("tag"), Some("98asjd8"));
        assert_eq!(params.get("lr"), Some(""));
        assert_eq!(params.get("x"), Some("a;b"));
        assert_eq!(params.get("y"), None);
        assert_eq!(Params::parse(b"a=1;;"), None);
        assert!(Params::parse(["a"; MAX_PARAMS].join(";").as_bytes()).is_some());
        assert_eq!(Params::parse(["a"; MAX_PARAMS + 1].join(";").as_bytes()), None);
    }
}
