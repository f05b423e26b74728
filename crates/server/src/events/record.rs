//! One event as a [line](crate::lines) of a segment.

use std::borrow::Cow;

use offhook_client::wire::EVENT_TYPES;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::Entry;
use crate::lines;

/// What an envelope says before its parameters.
#[derive(Deserialize)]
struct Head<'a> {
    seq: u64,
    time_ms: i64,
    #[serde(rename = "type", borrow)]
    type_name: Cow<'a, str>,
}

/// Appends the line of an event, its line feed included.
pub(super) fn write(text: &mut Vec<u8>, json: &RawValue) {
    lines::write(text, json.get().as_bytes());
}

/// The event of a line without its line feed; none where it is damaged, or another line.
pub(super) fn parse(line: &[u8]) -> Option<Entry> {
    let json = lines::read(line)?;
    let Head { seq, time_ms, type_name } = serde_json::from_str(json).ok()?;
    // What a former version told and this one does not know, nobody can have asked for.
    let type_name = EVENT_TYPES.iter().find(|known| **known == type_name).copied().unwrap_or("");
    let json = RawValue::from_string(json.to_owned()).ok()?.into();
    Some(Entry { seq, time_ms, type_name, json })
}

#[cfg(test)]
mod tests {
    use super::*;

    const JSON: &str = r#"{"seq":17,"time_ms":5,"type":"sys.call.on_ringing","params":{"res_id":"ü"}}"#;

    fn line() -> Vec<u8> {
        let mut lines = Vec::new();
        write(&mut lines, &RawValue::from_string(JSON.to_owned()).unwrap());
        lines
    }

    /// The checksum is that of zlib: `python3 -c 'import zlib; print("%08x" % zlib.crc32(json))'`.
    #[test]
    fn a_line_is_a_checksum_and_the_envelope() {
        assert_eq!(line(), format!("f5deb3ff {JSON}\n").into_bytes());
    }

    #[test]
    fn what_was_written_is_read() {
        let line = line();
        let entry = parse(line.strip_suffix(b"\n").unwrap()).unwrap();
        assert_eq!((entry.seq, entry.time_ms, entry.type_name), (17, 5, "sys.call.on_ringing"));
        assert_eq!(entry.json.get(), JSON);
    }

    #[test]
    fn a_line_that_is_cut_off_or_changed_is_no_event() {
        let line = line();
        let line = line.strip_suffix(b"\n").unwrap();
        for end in 0..line.len() {
            assert!(parse(&line[..end]).is_none(), "the first {end} bytes");
        }
        for at in 0..line.len() {
            let mut changed = line.to_vec();
            changed[at] ^= 0x04;
            assert!(parse(&changed).is_none(), "byte {at} changed");
        }
    }
}
