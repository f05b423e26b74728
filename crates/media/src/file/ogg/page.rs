//! A page on its own (RFC 3533 §6).

/// Octets before the lengths.
pub(super) const HEADER: usize = 27;

/// The most lengths of a page.
pub(super) const MAX_LENGTHS: usize = 255;

/// Octets of the longest page.
pub(super) const MAX_OCTETS: usize = HEADER + MAX_LENGTHS + 255 * MAX_LENGTHS;

/// What a page begins with.
pub(super) const CAPTURE: &[u8; 4] = b"OggS";

/// Flags: the page begins with the rest of a packet; it is the first of its stream; it is the last.
pub(super) const CONTINUED: u8 = 1;
pub(super) const FIRST: u8 = 2;
pub(super) const LAST: u8 = 4;

/// The position of a page on which no packet ends.
pub(super) const NO_POSITION: u64 = u64::MAX;

/// A page's header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) flags: u8,
    /// The granule position.
    pub(super) position: u64,
    pub(super) serial: u32,
    pub(super) number: u32,
}

impl Header {
    /// Appends a page of whole packets to `out`. They must have no more than [`MAX_LENGTHS`] lengths.
    pub(super) fn write(&self, lengths: &[u8], body: &[u8], out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(CAPTURE);
        out.extend_from_slice(&[0, self.flags]);
        out.extend_from_slice(&self.position.to_le_bytes());
        out.extend_from_slice(&self.serial.to_le_bytes());
        out.extend_from_slice(&self.number.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&lengths.len().to_le_bytes()[..1]);
        out.extend_from_slice(lengths);
        out.extend_from_slice(body);
        let sum = checksum(&out[start..]);
        out[start + 22..start + 26].copy_from_slice(&sum.to_le_bytes());
    }

    /// Of the octets of a whole page. `None` if it is none, or damaged.
    pub(super) fn parse(page: &[u8]) -> Option<Self> {
        let (header, _) = page.split_first_chunk::<HEADER>()?;
        let &[b'O', b'g', b'g', b'S', 0, flags, ref rest @ ..] = header else {
            return None;
        };
        let (position, rest) = rest.split_first_chunk()?;
        let (serial, rest) = rest.split_first_chunk()?;
        let (number, rest) = rest.split_first_chunk()?;
        let sum = u32::from_le_bytes(*rest.first_chunk()?);
        (sum == checksum(page)).then_some(Self {
            flags,
            position: u64::from_le_bytes(*position),
            serial: u32::from_le_bytes(*serial),
            number: u32::from_le_bytes(*number),
        })
    }
}

/// The sum of a page, itself taken for 0: CRC-32 from the highest bit on, with the polynomial 0x04c11db7 and neither start
/// nor end.
fn checksum(page: &[u8]) -> u32 {
    let counted = page.iter().enumerate().map(|(at, &octet)| if (22..26).contains(&at) { 0 } else { octet });
    counted.fold(0, |sum: u32, octet| (sum << 8) ^ TABLE[usize::from((sum >> 24).to_le_bytes()[0] ^ octet)])
}

const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut index: u32 = 0;
    while index < 256 {
        let mut sum = index << 24;
        let mut bit = 0;
        while bit < 8 {
            sum = (sum << 1) ^ if sum >> 31 == 1 { 0x04c1_1db7 } else { 0 };
            bit += 1;
        }
        table[index as usize] = sum;
        index += 1;
    }
    table
};
