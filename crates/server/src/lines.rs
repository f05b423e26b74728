//! Lines of a file that is only ever appended to, for programs and for `grep`:
//!
//! ```text
//!   5d1c9a07 {"seq":17,"time_ms":1764493200123,"type":"sys.call.on_ringing","params":{…}}
//!   └ CRC-32 of what follows, in hexadecimal
//! ```
//! One that the end of the server has cut off has no line feed or another checksum. JSON has no line feed within.

use std::io::Write;

/// Digits of the checksum.
const CHECKSUM: usize = 8;

/// Appends the line of a JSON text, its line feed included.
pub(crate) fn write(lines: &mut Vec<u8>, json: &[u8]) {
    // A vector takes whatever is written to it.
    let _ = write!(lines, "{:08x} ", crc32fast::hash(json));
    lines.extend_from_slice(json);
    lines.push(b'\n');
}

/// The JSON text of a line without its line feed; none where it is damaged, or another line.
pub(crate) fn read(line: &[u8]) -> Option<&str> {
    let (checksum, json) = line.split_at_checked(CHECKSUM)?;
    let checksum = u32::from_str_radix(str::from_utf8(checksum).ok()?, 16).ok()?;
    let json = json.strip_prefix(b" ")?;
    (crc32fast::hash(json) == checksum).then(|| str::from_utf8(json).ok()).flatten()
}
