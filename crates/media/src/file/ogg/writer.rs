//! Packets to pages.

use super::Head;
use super::page::{FIRST, Header, LAST, MAX_LENGTHS};

/// Samples at 48 kHz after which a page is full: 200 ms, so that a file is never further behind than that.
const PAGE_SAMPLES: u64 = 9600;

/// Writes one stream. It owns no file: it appends what is to be appended to the file.
///
/// After each [`Self::packet`], what was appended so far and then [`Self::tail`] is a whole file.
#[derive(Clone, Debug)]
pub struct Writer {
    serial: u32,
    /// Of the page that is being filled.
    number: u32,
    /// Where it began and where it ends, in samples at 48 kHz.
    begin: u64,
    end: u64,
    lengths: Vec<u8>,
    body: Vec<u8>,
}

impl Writer {
    /// Appends head and tags to `out`. Streams that may be joined to one file need different serial numbers.
    pub fn new(head: &Head, serial: u32, out: &mut Vec<u8>) -> Self {
        let mut writer = Self { serial, number: 0, begin: 0, end: 0, lengths: Vec::new(), body: Vec::new() };
        let mut packet = Vec::new();
        head.write(&mut packet);
        writer.put(&packet);
        writer.flush(FIRST, out);
        // Vendor, and no comment.
        let mut packet = b"OpusTags".to_vec();
        packet.extend_from_slice(&[7, 0, 0, 0]);
        packet.extend_from_slice(b"offhook");
        packet.extend_from_slice(&[0; 4]);
        writer.put(&packet);
        writer.flush(0, out);
        writer
    }

    /// Takes a packet of so many samples at 48 kHz, and appends the page that it fills, if it does. A packet longer than a
    /// page, 65,024 octets, is none of Opus and is left out.
    pub fn packet(&mut self, packet: &[u8], samples: usize, out: &mut Vec<u8>) {
        let needed = packet.len() / 255 + 1;
        if needed > MAX_LENGTHS {
            return;
        }
        if self.lengths.len() + needed > MAX_LENGTHS {
            self.flush(0, out);
        }
        self.put(packet);
        self.end += samples as u64;
        if self.end - self.begin >= PAGE_SAMPLES {
            self.flush(0, out);
        }
    }

    /// The page that would end the file now: the packets of the page that is not full. `unheard` samples at its end are
    /// not to be heard, as those that only fill up the last packet.
    pub fn tail(&self, unheard: u64) -> Vec<u8> {
        let mut out = Vec::new();
        let header = Header {
            flags: LAST,
            position: self.end.saturating_sub(unheard),
            serial: self.serial,
            number: self.number,
        };
        header.write(&self.lengths, &self.body, &mut out);
        out
    }

    fn put(&mut self, packet: &[u8]) {
        self.lengths.extend(std::iter::repeat_n(255, packet.len() / 255));
        self.lengths.extend_from_slice(&(packet.len() % 255).to_le_bytes()[..1]);
        self.body.extend_from_slice(packet);
    }

    fn flush(&mut self, flags: u8, out: &mut Vec<u8>) {
        let header = Header { flags, position: self.end, serial: self.serial, number: self.number };
        header.write(&self.lengths, &self.body, out);
        self.number = self.number.wrapping_add(1);
        self.begin = self.end;
        self.lengths.clear();
        self.body.clear();
    }
}
