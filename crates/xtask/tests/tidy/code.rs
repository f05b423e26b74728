//! A Rust source without its comments and without the contents of its literals, line by line as it was, so that words
//! and braces that remain are code. A lexer for this purpose, not for all of Rust.

/// `source` with comments and the contents of strings and characters blanked out.
pub(crate) fn code_of(source: &str) -> String {
    let mut rest = source;
    let mut out = String::with_capacity(source.len());
    let mut before = ' ';
    while let Some(next) = rest.chars().next() {
        let length = match next {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => block_comment(rest),
            '"' => string(rest),
            'r' | 'b' | 'c' if !is_word(before) => prefixed_string(rest),
            '\'' => character(rest),
            _ => 0,
        };
        if length == 0 {
            out.push(next);
            before = next;
            rest = &rest[next.len_utf8()..];
        } else {
            out.extend(rest[..length].chars().map(|char| if char == '\n' { '\n' } else { ' ' }));
            before = ' ';
            rest = &rest[length..];
        }
    }
    out
}

pub(crate) fn is_word(char: char) -> bool {
    char.is_alphanumeric() || char == '_'
}

/// Block comments nest.
fn block_comment(text: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < text.len() {
        if text[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

/// From the opening quote to behind the closing one.
fn string(text: &str) -> usize {
    let mut escaped = false;
    for (at, char) in text.char_indices().skip(1) {
        match char {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// `r"…"`, `r#"…"#`, `b"…"`, `br"…"`, `c"…"`, `b'…'`; 0 where it is none of them.
fn prefixed_string(text: &str) -> usize {
    let prefix = text.bytes().take_while(|byte| b"rbc".contains(byte)).count().min(2);
    let hashes = text[prefix..].bytes().take_while(|&byte| byte == b'#').count();
    let body = &text[prefix + hashes..];
    let raw = text[..prefix].contains('r');
    match body.chars().next() {
        Some('"') if raw => {
            let end = format!("\"{}", "#".repeat(hashes));
            body[1..].find(&end).map_or(text.len(), |at| prefix + hashes + 1 + at + end.len())
        }
        Some('"') if hashes == 0 => prefix + string(body),
        Some('\'') if hashes == 0 && prefix == 1 => prefix + character(body),
        _ => 0,
    }
}

/// A character literal; 0 for a lifetime.
fn character(text: &str) -> usize {
    let mut chars = text.char_indices().skip(1);
    match (chars.next(), chars.next()) {
        (Some((_, '\\')), Some((after, _))) => {
            text[after + 1..].find('\'').map_or(text.len(), |at| after + 1 + at + 1)
        }
        (Some((_, char)), Some((end, '\''))) if char != '\'' => end + 1,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(source: &str, expected: &str) {
        assert_eq!(code_of(source), expected, "{source}");
    }

    #[test]
    fn comments_go() {
        check("a // {\nb", "a     \nb");
        check("a /* { /* } */ */ b", "a                 b");
        check("a /* x\ny */ b", "a     \n     b");
    }

    #[test]
    fn literals_go() {
        check("f(\"{ // \\\" \")", "f(          )");
        check("r#\"{\"}\"# }", "         }");
        check("b'{' '}' '\\'' '\\u{7b}' x", &format!("{}x", " ".repeat(23)));
        check("br\"{\" x", "      x");
    }

    #[test]
    fn lifetimes_and_words_stay() {
        check("fn f<'a>(x: &'a str, r: u8) {}", "fn f<'a>(x: &'a str, r: u8) {}");
        check("bar\"x\"", "bar   ");
    }
}
