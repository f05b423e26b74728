//! Opus as the peer wants it (RFC 7587 §6.1). What packets are is read off their first octets, as RFC 6716 §3.1 and §4.2.4
//! have them.

use super::*;
use crate::codec::opus::{Wishes, samples_in};
use crate::codec::resample::resample_all;

/// Speech at 48 kHz, 300 ms over and over.
fn speech(times: usize) -> Vec<i16> {
    let bytes: &[u8] = include_bytes!("../../../../fixtures/codec/input-16k.s16");
    let samples: Vec<i16> = bytes.as_chunks().0[..4800].iter().copied().map(i16::from_le_bytes).collect();
    resample_all(&samples, 16_000, 48_000).unwrap().repeat(times)
}

fn asking(ptime_ms: u8, opus: Wishes) -> LegConfig {
    with(config(Codec::Opus), |media| (media.ptime_ms, media.opus) = (ptime_ms, opus))
}

/// Two legs, of which the second asks the first for this, after so many ms of a prompt.
fn talked(network: Network, asked: LegConfig, samples: &[i16], ms: u64) -> World {
    let mut world = World::pair(1, network, asked, config(Codec::Opus));
    world.record(2, 1, RecordFormat::Pcm16, 600_000);
    world.play(1, 2, &[&Prompt::encode(samples, Codec::Opus)], 0);
    world.run(ms);
    world.stop_record(2, 1, false);
    world
}

fn packets(world: &World) -> Vec<Vec<u8>> {
    world.rtp_of(1).iter().map(|packet| packet.rtp().payload().to_vec()).collect()
}

/// Whether the first frame of a packet has a sketch of the packet before.
fn has_fec(packet: &[u8]) -> bool {
    packet[0] >> 3 < 16 && packet[0] & 3 == 0 && packet[1] & 0x40 != 0
}

fn bits_per_second(packets: &[Vec<u8>]) -> usize {
    let octets: usize = packets.iter().map(Vec::len).sum();
    let samples: usize = packets.iter().map(|packet| samples_in(packet).unwrap()).sum();
    octets * 8 * 48_000 / samples
}

#[test]
fn a_prompt_goes_out_as_it_was_made_unless_the_peer_takes_no_such_packets() {
    let samples = speech(10);
    let prompt = Prompt::encode(&samples, Codec::Opus);
    let mut made = Vec::new();
    let (mut stream, mut part) = (Vec::new(), 0);
    while let Part::Payload(payload) = prompt.part(part) {
        stream.extend_from_slice(payload);
        part += 1;
    }
    let mut rest = &stream[..];
    while let Some(piece) = Codec::Opus.piece(rest, 960) {
        made.push(piece.payload.to_vec());
        rest = &rest[piece.bytes..];
    }
    let hints = Wishes { playback_rate: 16_000, fec: true, dtx: true, ..Wishes::default() };
    for (ptime_ms, wishes, is_copied) in [
        (20, Wishes::default(), true),
        (30, Wishes::default(), true),
        (20, hints, true),
        (20, Wishes { max_bitrate: Some(32_000), ..hints }, true),
        (20, Wishes { max_bitrate: Some(31_999), ..hints }, false),
        (20, Wishes { cbr: true, ..hints }, false),
        (10, Wishes::default(), false),
        (60, Wishes::default(), false),
    ] {
        let world = talked(Network::default(), asking(ptime_ms, wishes), &samples, 3500);
        let sent = packets(&world);
        assert_eq!(sent.starts_with(&made), is_copied, "{ptime_ms} {wishes:?}");
        let lasted: usize = sent.iter().map(|packet| samples_in(packet).unwrap()).sum();
        assert!((samples.len()..samples.len() + 2880).contains(&lasted), "{ptime_ms} {wishes:?}");
        assert!(world.file(1).len().abs_diff(3500 * 16) <= 320);
    }
}

#[test]
fn the_bit_rate_stays_below_what_the_peer_takes_and_packets_are_of_a_size_where_it_wants_that() {
    let samples = speech(20);
    for most in [8000, 12_000, 24_000] {
        let asked = asking(20, Wishes { max_bitrate: Some(most), ..Wishes::default() });
        let sent = packets(&talked(Network::default(), asked, &samples, 6500));
        // On average (§6.1); the encoder swings by some percent.
        assert!(bits_per_second(&sent) < most as usize * 108 / 100, "{most}: {}", bits_per_second(&sent));
        let asked = asking(20, Wishes { max_bitrate: Some(most), cbr: true, ..Wishes::default() });
        let mut sizes: Vec<usize> =
            packets(&talked(Network::default(), asked, &samples, 6500)).iter().map(Vec::len).collect();
        sizes.dedup();
        assert_eq!(sizes, [most as usize / 50 / 8]);
    }
}

/// Table 2 of RFC 6716: the configurations of each band.
#[test]
fn no_band_is_sent_that_the_peer_does_not_play() {
    let samples = speech(10);
    for (playback_rate, highest) in [(8000, 0), (12_000, 1), (16_000, 2), (24_000, 3), (48_000, 4)] {
        let wishes = Wishes { playback_rate, cbr: true, ..Wishes::default() };
        let sent = packets(&talked(Network::default(), asking(20, wishes), &samples, 3500));
        for packet in sent {
            let band = match packet[0] >> 3 {
                0..4 | 16..20 => 0,
                4..8 => 1,
                8..12 | 20..24 => 2,
                12..14 | 24..28 => 3,
                _ => 4,
            };
            assert!(band <= highest, "{playback_rate}: {:#x}", packet[0]);
        }
    }
}

/// Loss is told by the reports of the peer; the wish alone costs no bits.
#[test]
fn packets_tell_of_the_one_before_where_the_peer_wants_that_and_reports_loss() {
    let samples = speech(100);
    let wideband = Wishes { playback_rate: 16_000, max_bitrate: Some(20_000), ..Wishes::default() };
    for (loss, fec, expected) in [(0.2, true, true), (0.2, false, false), (0.0, true, false)] {
        let network = Network { loss, ..Network::default() };
        let asked = asking(20, Wishes { fec, ..wideband });
        let sent = packets(&talked(network, asked, &samples, 28_000));
        // The first report comes within eight seconds.
        let told = sent[1000..].iter().filter(|packet| has_fec(packet)).count();
        assert_eq!(told > 100, expected, "loss {loss}, FEC {fec}: {told}");
        assert!(expected || told == 0, "loss {loss}, FEC {fec}: {told}");
    }
}

#[test]
fn silence_is_not_sent_to_who_would_rather_not_have_it() {
    let mut samples = speech(5);
    samples.resize(samples.len() + 3 * 48_000, 0);
    samples.extend(speech(5));
    let wideband = Wishes { playback_rate: 16_000, max_bitrate: Some(20_000), ..Wishes::default() };
    for (dtx, ptime_ms) in [(false, 20), (true, 20), (true, 60)] {
        let world = talked(Network::default(), asking(ptime_ms, Wishes { dtx, ..wideband }), &samples, 6500);
        let sent = world.rtp_of(1);
        let all = 6000 / usize::from(ptime_ms);
        assert_eq!(sent.len() < all * 3 / 4, dtx, "{} of {all}", sent.len());
        // Timestamps tell the pauses, sequence numbers do not, and each talkspurt begins with a marker (§4.1, §4.2).
        let lasts = u32::from(ptime_ms) * 48;
        for pair in sent.windows(2) {
            let (one, other) = (pair[0].rtp(), pair[1].rtp());
            assert_eq!(u16::from(other.sequence_number()), u16::from(one.sequence_number()).wrapping_add(1));
            let passed = other.timestamp().wrapping_sub(one.timestamp());
            assert!(passed.is_multiple_of(lasts), "{passed}");
            assert_eq!(other.mark(), passed > lasts, "after {passed}");
        }
        let passed = sent.last().unwrap().rtp().timestamp().wrapping_sub(sent[0].rtp().timestamp());
        assert!(passed.abs_diff(6 * 48_000) <= 2 * lasts, "{passed}");
    }
}
