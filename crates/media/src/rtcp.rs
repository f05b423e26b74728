//! RTCP (RFC 3550 §6): sender and receiver reports with a CNAME every few seconds, and what the peer's reports tell.
//!
//! ```text
//!   ┌ SR or RR ┬ 0..1 report block ┬ SDES CNAME ┬ BYE at the end ┐   one compound packet, one datagram
//! ```
//! A BYE of the peer is noted by nobody: SIP ends calls, and anybody could have sent it (reliability.md R9).

use std::time::{Duration, Instant};

use crate::Clock;
use crate::packet::Reception;

/// Between two reports, on average; the least that RFC 3550 §6.2 allows, as a call of two has bandwidth to spare.
pub(crate) const INTERVAL: Duration = Duration::from_secs(5);

const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const SOURCE_DESCRIPTION: u8 = 202;
const BYE: u8 = 203;
const CNAME: u8 = 1;
/// One report block.
const BLOCK: usize = 24;
/// From the epoch of NTP, 1900, to that of Unix, 1970, in seconds.
const NTP_TO_UNIX: u64 = 2_208_988_800;
/// A longer round trip is a wrong stamp.
const MAX_ROUND_TRIP: Duration = Duration::from_secs(60);

/// What we report.
pub(crate) struct Report<'a> {
    pub(crate) ssrc: u32,
    pub(crate) cname: &'a str,
    /// Present if we have sent since the last report.
    pub(crate) sender: Option<SenderInfo>,
    /// Present if we have received.
    pub(crate) reception: Option<(Reception, LastReport)>,
    /// Whether it is our last.
    pub(crate) bye: bool,
}

/// What we sent (RFC 3550 §6.4.1).
pub(crate) struct SenderInfo {
    pub(crate) ntp: u64,
    pub(crate) timestamp: u32,
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
}

/// The stamp of the peer's last sender report and how long ago it came, in 1/65536 s; zeros if none came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LastReport {
    pub(crate) stamp: u32,
    pub(crate) delay: u32,
}

/// What a peer's compound packet tells us.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Incoming {
    /// The middle 32 bits of the NTP stamp of its sender report.
    pub(crate) stamp: Option<u32>,
    /// Its report block about our SSRC.
    pub(crate) about_us: Option<AboutUs>,
}

/// A report block about our stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AboutUs {
    /// Loss since its last report, in 256ths.
    pub(crate) fraction_lost: u8,
    /// The highest sequence number that it has received, extended.
    pub(crate) highest: u32,
    pub(crate) lost: i32,
    pub(crate) last: LastReport,
}

impl Report<'_> {
    /// Appends the compound packet to `out`.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let blocks = u8::from(self.reception.is_some());
        let start =
            open(out, blocks, if self.sender.is_some() { SENDER_REPORT } else { RECEIVER_REPORT }, self.ssrc);
        if let Some(sender) = &self.sender {
            out.extend(sender.ntp.to_be_bytes());
            out.extend(sender.timestamp.to_be_bytes());
            out.extend(low_32(sender.packets).to_be_bytes());
            out.extend(low_32(sender.bytes).to_be_bytes());
        }
        if let Some((reception, last)) = &self.reception {
            out.extend(reception.ssrc.to_be_bytes());
            out.push(reception.fraction_lost);
            // 24 bits with a sign, not wrapping (RFC 3550 §6.4.1).
            let lost = reception.lost.clamp(-0x80_0000, 0x7f_ffff).to_be_bytes();
            out.extend(&lost[5..]);
            for field in [reception.highest, reception.jitter, last.stamp, last.delay] {
                out.extend(field.to_be_bytes());
            }
        }
        close(out, start);
        let start = open(out, 1, SOURCE_DESCRIPTION, self.ssrc);
        out.push(CNAME);
        out.push(u8::try_from(self.cname.len()).unwrap_or(0));
        out.extend(self.cname.bytes().take(255));
        // The list of items ends with at least one zero, at a word boundary.
        out.push(0);
        while !(out.len() - start).is_multiple_of(4) {
            out.push(0);
        }
        close(out, start);
        if self.bye {
            let start = open(out, 1, BYE, self.ssrc);
            close(out, start);
        }
    }
}

/// Begins a packet of a compound: header without its length, and the SSRC.
fn open(out: &mut Vec<u8>, count: u8, packet_type: u8, ssrc: u32) -> usize {
    let start = out.len();
    out.extend([0x80 | count, packet_type, 0, 0]);
    out.extend(ssrc.to_be_bytes());
    start
}

/// Sets the length: in words, less one.
fn close(out: &mut [u8], start: usize) {
    let words = u16::try_from((out.len() - start) / 4 - 1).unwrap_or(0);
    out[start + 2..start + 4].copy_from_slice(&words.to_be_bytes());
}

fn low_32(number: u64) -> u32 {
    let [.., a, b, c, d] = number.to_be_bytes();
    u32::from_be_bytes([a, b, c, d])
}

/// Reads a compound packet, or nothing if it fails the checks of RFC 3550 A.2: it begins with a report, every packet
/// is version 2, and the lengths add up to the datagram.
pub(crate) fn parse(datagram: &[u8], our_ssrc: u32) -> Option<Incoming> {
    let mut incoming = Incoming::default();
    let mut rest = datagram;
    let mut first = true;
    while !rest.is_empty() {
        let &[head, packet_type, high, low, ..] = rest else { return None };
        let length = (usize::from(u16::from_be_bytes([high, low])) + 1) * 4;
        let is_report = matches!(packet_type, SENDER_REPORT | RECEIVER_REPORT);
        if head >> 6 != 2 || length > rest.len() || first && (!is_report || head & 0x20 != 0) {
            return None;
        }
        let (packet, after) = rest.split_at(length);
        if is_report {
            read_report(
                packet,
                usize::from(head & 0x1f),
                packet_type == SENDER_REPORT,
                our_ssrc,
                &mut incoming,
            )?;
        }
        rest = after;
        first = false;
    }
    (!first).then_some(incoming)
}

fn read_report(
    packet: &[u8],
    blocks: usize,
    sender: bool,
    our_ssrc: u32,
    incoming: &mut Incoming,
) -> Option<()> {
    let mut body = packet.get(8..)?;
    if sender {
        incoming.stamp = Some(word(body.get(2..6)?)?);
        body = body.get(20..)?;
    }
    let blocks = body.get(..blocks * BLOCK)?;
    for block in blocks.chunks_exact(BLOCK) {
        if word(&block[..4])? == our_ssrc {
            // The sign of 24 bits: shifted up with its first byte, then down arithmetically.
            let lost = (word(&block[4..8])? << 8).cast_signed() >> 8;
            let last = LastReport { stamp: word(&block[16..20])?, delay: word(&block[20..24])? };
            let (fraction_lost, highest) = (block[4], word(&block[8..12])?);
            incoming.about_us = Some(AboutUs { fraction_lost, highest, lost, last });
        }
    }
    Some(())
}

fn word(bytes: &[u8]) -> Option<u32> {
    bytes.try_into().ok().map(u32::from_be_bytes)
}

/// The time of day at a moment, as NTP counts it: seconds since 1900 and 2^-32 parts.
pub(crate) fn ntp(epoch: &Clock, now: Instant) -> u64 {
    let since_1970 = Duration::from_millis(epoch.unix_ms.max(0).unsigned_abs())
        + now.saturating_duration_since(epoch.mono);
    let seconds = since_1970.as_secs().wrapping_add(NTP_TO_UNIX);
    (seconds << 32) | ((u64::from(since_1970.subsec_nanos()) << 32) / 1_000_000_000)
}

/// The middle 32 bits of a stamp: 16 of seconds, 16 of parts.
pub(crate) fn middle(ntp: u64) -> u32 {
    low_32(ntp >> 16)
}

/// A duration in 1/65536 s.
pub(crate) fn parts(duration: Duration) -> u32 {
    u32::try_from((duration.as_nanos() << 16) / 1_000_000_000).unwrap_or(u32::MAX)
}

/// The round trip that a block about us tells, if it was made in answer to a sender report of ours (§6.4.1).
pub(crate) fn round_trip(now: u64, last: LastReport) -> Option<Duration> {
    if last.stamp == 0 {
        return None;
    }
    let parts = middle(now).wrapping_sub(last.stamp).wrapping_sub(last.delay);
    let round_trip = Duration::from_nanos((u64::from(parts) * 1_000_000_000) >> 16);
    (round_trip <= MAX_ROUND_TRIP).then_some(round_trip)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RECEPTION: Reception =
        Reception { ssrc: 0x0a0b_0c0d, fraction_lost: 64, lost: -2, highest: 0x0001_0203, jitter: 33 };

    fn report(sender: bool, bye: bool) -> Vec<u8> {
        let sender = sender.then_some(SenderInfo {
            ntp: 0x1112_1314_1516_1718,
            timestamp: 0x2122_2324,
            packets: 3,
            bytes: 480,
        });
        let last = LastReport { stamp: 0x3132_3334, delay: 0x4142_4344 };
        let reception = Some((RECEPTION, last));
        let mut out = Vec::new();
        Report { ssrc: 0x0102_0304, cname: "ab", sender, reception, bye }.write(&mut out);
        out
    }

    #[test]
    fn a_compound_as_on_the_wire() {
        // Written by hand from the figures of RFC 3550 §6.4.1, §6.5 and §6.6.
        let expected: Vec<u8> = [
            &[0x81, 200, 0, 12, 1, 2, 3, 4][..],
            &[
                0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18, 0x21, 0x22, 0x23, 0x24, 0, 0, 0, 3, 0, 0, 1,
                0xe0,
            ],
            &[0x0a, 0x0b, 0x0c, 0x0d, 64, 0xff, 0xff, 0xfe, 0, 1, 2, 3, 0, 0, 0, 33],
            &[0x31, 0x32, 0x33, 0x34, 0x41, 0x42, 0x43, 0x44],
            &[0x81, 202, 0, 3, 1, 2, 3, 4, 1, 2, b'a', b'b', 0, 0, 0, 0],
            &[0x81, 203, 0, 1, 1, 2, 3, 4],
        ]
        .concat();
        assert_eq!(report(true, true), expected);
    }

    #[test]
    fn a_report_is_read_back() {
        let last = LastReport { stamp: 0x3132_3334, delay: 0x4142_4344 };
        let about_us = Some(AboutUs { fraction_lost: 64, highest: 0x0001_0203, lost: -2, last });
        let stamp = Some(0x1314_1516);
        assert_eq!(parse(&report(true, true), 0x0a0b_0c0d), Some(Incoming { stamp, about_us }));
        assert_eq!(parse(&report(false, false), 0x0a0b_0c0d), Some(Incoming { stamp: None, about_us }));
        assert_eq!(parse(&report(true, false), 99), Some(Incoming { stamp, about_us: None }));
    }

    #[test]
    fn r8_compounds_that_fail_the_checks() {
        let good = report(true, false);
        for cut in 1..good.len() {
            let whole = cut == 52;
            assert_eq!(parse(&good[..cut], 1).is_some(), whole, "cut at {cut}");
        }
        assert_eq!(parse(&[], 1), None);
        let mut version = good.clone();
        version[0] = 0x41;
        assert_eq!(parse(&version, 1), None);
        let mut blocks = good.clone();
        blocks[0] = 0x9f;
        assert_eq!(parse(&blocks, 1), None, "31 blocks claimed");
        assert_eq!(parse(&good[52..], 1), None, "it does not begin with a report");
        assert_eq!(
            parse(&[0x80, 201, 0, 1, 0, 0, 0, 1], 1),
            Some(Incoming::default()),
            "an empty report is one"
        );
    }

    #[test]
    #[allow(clippy::disallowed_methods, reason = "any instant serves as the epoch of a virtual clock")]
    fn stamps_and_the_round_trip() {
        let epoch = Clock { mono: Instant::now(), unix_ms: 1_500 };
        let at = |ms| ntp(&epoch, epoch.mono + Duration::from_millis(ms));
        assert_eq!(at(0), ((NTP_TO_UNIX + 1) << 32) | 0x8000_0000);
        assert_eq!(at(750), ((NTP_TO_UNIX + 2) << 32) | 0x4000_0000);
        // The example of RFC 3550 figure 2: A, LSR and DLSR of 0xb710:8000, 0xb705:2000 and 0x0005:4000.
        let last = LastReport { stamp: 0xb705_2000, delay: 0x0005_4000 };
        assert_eq!(round_trip(0xb710_8000 << 16, last), Some(Duration::from_millis(6125)));
        assert_eq!(round_trip(at(0), LastReport::default()), None);
        assert_eq!(parts(Duration::from_millis(5250)), 0x0005_4000);
    }

    proptest! {
        #[test]
        fn bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes, 1);
        }

        #[test]
        fn r8_mutated_reports_never_panic(changes in proptest::collection::vec((0usize..76, any::<u8>()), 1..6)) {
            let mut bytes = report(true, true);
            for (at, byte) in changes {
                bytes[at] = byte;
            }
            let _ = parse(&bytes, 0x0a0b_0c0d);
        }
    }
}
