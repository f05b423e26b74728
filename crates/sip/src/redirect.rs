//! What a 3xx says (RFC 3261 §8.1.3.4, §21.3): where else the callee or the registrar may be. Whether we go there is for
//! whoever asked to decide.

use std::cmp::Reverse;

use crate::message::{Address, Message, Name, Uri};

/// How many contacts of one 3xx are looked at.
const MAX_CONTACTS: usize = 16;

/// The SIP URIs in the Contact of a 3xx, without headers, the highest q first (§20.10).
pub(crate) fn contacts(response: &Message) -> Vec<Uri> {
    let values = response.list(Name::Contact).unwrap_or_default();
    let mut contacts: Vec<(u16, Uri)> = values
        .iter()
        .take(MAX_CONTACTS)
        .filter_map(|value| {
            let address = Address::parse(value)?;
            // What a URI wants to add to a request is not ours to repeat (§19.1.5).
            let uri = address.uri.split('?').next().unwrap_or_default();
            let uri = Uri::parse(uri.as_bytes()).ok().filter(|uri| !uri.has_method())?;
            Some((address.param("q").map_or(1000, thousandths), uri))
        })
        .collect();
    contacts.sort_by_key(|&(q, _)| Reverse(q));
    contacts.into_iter().map(|(_, uri)| uri).collect()
}

/// A q value from 0 to 1 with up to three decimals; 0 for anything else.
fn thousandths(q: &str) -> u16 {
    let (whole, decimals) = q.split_once('.').unwrap_or((q, ""));
    let digits = decimals.len() <= 3 && decimals.bytes().all(|byte| byte.is_ascii_digit());
    let part = format!("{decimals:0<3}").parse::<u16>().unwrap_or(0);
    match whole {
        "1" if digits && part == 0 => 1000,
        "0" | "" if digits => part,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn q_values() {
        for (text, value) in [
            ("1", 1000),
            ("1.0", 1000),
            ("1.000", 1000),
            ("0.7", 700),
            ("0.75", 750),
            ("0.001", 1),
            (".5", 500),
            ("0", 0),
            ("1.1", 0),
            ("2", 0),
            ("-1", 0),
            ("0.1234", 0),
            ("0.+1", 0),
            ("", 0),
        ] {
            assert_eq!(thousandths(text), value, "{text}");
        }
    }
}
