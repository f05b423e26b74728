//! SRTP against what others make of it: the vectors of RFC 3711 and RFC 7714, those of libsrtp's own tests, and packets that
//! libsrtp protected (`fixtures/srtp`).

use proptest::prelude::*;

use super::*;
use crate::srtp::keys::SessionKeys;

/// The bytes of hexadecimal digits, whatever stands between them.
pub(super) fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u32> = hex.chars().filter_map(|digit| digit.to_digit(16)).collect();
    digits.chunks(2).map(|pair| u8::try_from(pair[0] << 4 | pair[1]).unwrap()).collect()
}

fn key(suite: Suite, hex: &str) -> MasterKey {
    MasterKey::new(suite, &bytes(hex)).unwrap()
}

/// Keys that are noise of a seed.
pub(super) fn some_key(suite: Suite, seed: u8) -> MasterKey {
    let bytes: Vec<u8> = (0..=u8::MAX).map(|at| seed.wrapping_mul(31).wrapping_add(at)).collect();
    MasterKey::new(suite, &bytes[..suite.master()]).unwrap()
}

fn pair(suite: Suite) -> (Outbound, Inbound) {
    let key = some_key(suite, 1);
    (Outbound::new(&key), Inbound::new(&key))
}

pub(super) fn packet(sequence: u16, ssrc: u32) -> Vec<u8> {
    let mut packet = vec![0x80, 0];
    packet.extend(sequence.to_be_bytes());
    packet.extend(u32::from(sequence).to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    packet.extend([0x55; 160]);
    packet
}

pub(super) fn report(ssrc: u32) -> Vec<u8> {
    let mut report = vec![0x80, 201, 0, 7];
    report.extend(ssrc.to_be_bytes());
    report.extend([0x33; 24]);
    report
}

fn protected(outbound: &mut Outbound, packet: &[u8]) -> Vec<u8> {
    // Something before it, as in the arena of an engine.
    let mut out = vec![9, 9, 9];
    out.extend(packet);
    outbound.protect_rtp(&mut out, 3).unwrap();
    assert_eq!(out[..3], [9, 9, 9]);
    out.split_off(3)
}

fn protected_rtcp(outbound: &mut Outbound, packet: &[u8]) -> Vec<u8> {
    let mut out = packet.to_vec();
    outbound.protect_rtcp(&mut out, 0).unwrap();
    out
}

fn opened(inbound: &mut Inbound, packet: &[u8]) -> Result<Vec<u8>, Refused> {
    let mut packet = packet.to_vec();
    inbound.unprotect_rtp(&mut packet).map(|length| packet[..length].to_vec())
}

fn opened_rtcp(inbound: &mut Inbound, packet: &[u8]) -> Result<Vec<u8>, Refused> {
    let mut packet = packet.to_vec();
    inbound.unprotect_rtcp(&mut packet).map(|length| packet[..length].to_vec())
}

// ---- Vectors ----------------------------------------------------------------------------------------------------

/// RFC 7714 §16.1, §16.2, §17.1 and §17.3, whose keys are session keys.
#[test]
fn rfc_7714_vectors() {
    const RTP: &str = "8040f17b8041f8d35501a0b2 47616c6c696120657374206f6d6e6973206469766973612069 6e20706172746573207472 6573";
    const RTCP: &str = "81c8000d4d617273 4e5450314e545032525450200000042a0000e9304c756e61deadbeefdeadbeefdeadbeefdeadbeefdeadbeef";
    let long = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    for (suite, rtp, rtcp) in [
        (
            Suite::AeadAes128Gcm,
            "8040f17b8041f8d35501a0b2f24de3a3fb34de6cacba861c9d7e4bcabe633bd50d294e6f42a5f47a51c7d19b36de3adf8833\
             899d7f27beb16a9152cf765ee4390cce",
            "81c8000d4d61727363e94885dcdab67ca727d7662f6b7e997ff5c0f76c06f32dc676a5f1730d6fda4ce09b4686303ded0bb9\
             275bc84aa45896cf4d2fc5abf87245d9eade800005d4",
        ),
        (
            Suite::AeadAes256Gcm,
            "8040f17b8041f8d35501a0b232b1de78a822fe12ef9f78fa332e33aab18012389a58e2f3b50b2a0276ffae0f1ba63799b87b\
             7aa3db36dfffd6b0f9bb7878d7a76c13",
            "81c8000d4d617273d50ae4d1f5ce5d304ba297e47d470c282c3ece5dbffe0a50a2eaa5c1110555be8415f658c61de0476f1b\
             6fad1d1eb30c4446839f57ff6f6cb26ac3be800005d4",
        ),
    ] {
        let mut keys = SessionKeys { cipher: [0; 32], authentication: [0; 20], salt: [0; 14] };
        keys.cipher.copy_from_slice(&bytes(long));
        keys.salt[..12].copy_from_slice(b"Quid pro quo");
        let transform = Transform::new(suite, &keys, Purpose::Rtp);
        let mut out = bytes(RTP);
        transform.seal_rtp(0x5501_a0b2, 0xf17b, &mut out, 0, 12);
        assert_eq!(out, bytes(rtp), "{suite:?}");
        assert_eq!(transform.open_rtp(0x5501_a0b2, 0xf17b, &mut out, 12), Ok(bytes(RTP).len()));
        assert!(out.starts_with(&bytes(RTP)));
        let mut out = bytes(RTCP);
        transform.seal_rtcp(0x4d61_7273, 0x8000_05d4, &mut out, 0);
        assert_eq!(out, bytes(rtcp), "{suite:?}");
        assert_eq!(transform.rtcp_word(&out), Some(0x8000_05d4));
        assert_eq!(transform.open_rtcp(0x4d61_7273, 0x8000_05d4, &mut out), Ok(bytes(RTCP).len()));
        assert!(out.starts_with(&bytes(RTCP)));
    }
}

/// The reference packets of libsrtp's `srtp_validate` and `srtp_validate_gcm`, from master keys on. The first report of
/// libsrtp has index 1; ours has 0, as RFC 3711 §3.4 says.
#[test]
fn libsrtp_reference_packets() {
    let plain = bytes("800f1234decafbadcafebabeabababababababababababababababab");
    let report = bytes("81c8000bcafebabeabababababababababababababababab");
    for (key, rtp, rtcp) in [
        (
            key(Suite::AesCm128HmacSha1_80, "e1f97a0d3e018be0d64fa32c06de41390ec675ad498afeebb6960b3aabe6"),
            "800f1234decafbadcafebabe4e55dc4ce79978d88ca4d215949d2402b78d6acc99ea179b8dbb",
            "81c8000bcafebabe7128035be487b9bdbef89041f977a5a880000001993e08cd54d6c1230798",
        ),
        (
            key(Suite::AeadAes128Gcm, "000102030405060708090a0b0c0d0e0fa0a1a2a3a4a5a6a7a8a9aaab"),
            "800f1234decafbadcafebabec5002ede04cfdd2eb91159e0880aa06ed2976826f796b201df3131a127e8a392",
            "81c8000bcafebabec98b8b5df0392a55852b6c21ac8e7025c52c6fbea2b3b446ea31123ba88ce61e80000001",
        ),
    ] {
        let (mut outbound, mut inbound) = (Outbound::new(&key), Inbound::new(&key));
        assert_eq!(protected(&mut outbound, &plain), bytes(rtp));
        assert_eq!(opened(&mut inbound, &bytes(rtp)), Ok(plain.clone()));
        protected_rtcp(&mut outbound, &report);
        assert_eq!(protected_rtcp(&mut outbound, &report), bytes(rtcp));
        assert_eq!(opened_rtcp(&mut inbound, &bytes(rtcp)), Ok(report.clone()));
    }
}

/// Everything that libsrtp protected comes out as it was, and we make the same of it, byte for byte.
#[test]
fn libsrtp_packets_both_ways() {
    let mut session = None;
    let mut packets = [0; 2];
    for line in include_str!("../../../../fixtures/srtp/libsrtp.txt").lines() {
        let words: Vec<_> = line.split(' ').collect();
        match (&words[..], &mut session) {
            (["#", ..], _) => {}
            (["key", suite, hex], session) => {
                let key = key(Suite::from_name(suite).unwrap(), hex);
                let mut outbound = Outbound::new(&key);
                // The first reports of libsrtp have index 1.
                for ssrc in [0xcafe_babe, 0x0102_0304] {
                    protected_rtcp(&mut outbound, &report(ssrc));
                }
                *session = Some((outbound, Inbound::new(&key)));
            }
            (["rtp", plain, secret], Some((outbound, inbound))) => {
                assert_eq!(protected(outbound, &bytes(plain)), bytes(secret), "{plain}");
                assert_eq!(opened(inbound, &bytes(secret)), Ok(bytes(plain)));
                assert_eq!(opened(inbound, &bytes(secret)), Err(Refused::Repeated));
                packets[0] += 1;
            }
            (["rtcp", plain, secret], Some((outbound, inbound))) => {
                assert_eq!(protected_rtcp(outbound, &bytes(plain)), bytes(secret), "{plain}");
                assert_eq!(opened_rtcp(inbound, &bytes(secret)), Ok(bytes(plain)));
                assert_eq!(opened_rtcp(inbound, &bytes(secret)), Err(Refused::Repeated));
                packets[1] += 1;
            }
            _ => panic!("not a line of the fixture: {line}"),
        }
    }
    assert_eq!(packets, [4 * 28, 4 * 8]);
}

// ---- What is refused --------------------------------------------------------------------------------------------

#[test]
fn r3_a_packet_changed_in_any_bit_is_refused_and_left_as_it_was() {
    for suite in Suite::ALL {
        let (mut outbound, mut inbound) = pair(suite);
        let rtp = protected(&mut outbound, &packet(7, 1));
        let rtcp = protected_rtcp(&mut outbound, &report(1));
        for at in 0..rtp.len() * 8 {
            let mut forged = rtp.clone();
            forged[at / 8] ^= 1 << (at % 8);
            let before = forged.clone();
            assert!(inbound.unprotect_rtp(&mut forged).is_err(), "{suite:?}, bit {at}");
            assert_eq!(forged, before);
        }
        for at in 0..rtcp.len() * 8 {
            let mut forged = rtcp.clone();
            forged[at / 8] ^= 1 << (at % 8);
            let before = forged.clone();
            assert!(inbound.unprotect_rtcp(&mut forged).is_err(), "{suite:?}, bit {at}");
            assert_eq!(forged, before);
        }
        // None of it has moved a window, made a source, or cost the true packet its place.
        assert_eq!(opened(&mut inbound, &rtp), Ok(packet(7, 1)));
        assert_eq!(opened_rtcp(&mut inbound, &rtcp), Ok(report(1)));
    }
}

#[test]
fn r3_a_packet_is_taken_once() {
    for suite in Suite::ALL {
        let (mut outbound, mut inbound) = pair(suite);
        let packets: Vec<_> = (100..400).map(|at| protected(&mut outbound, &packet(at, 1))).collect();
        for packet in &packets {
            opened(&mut inbound, packet).unwrap();
        }
        for packet in &packets {
            assert_eq!(opened(&mut inbound, packet), Err(Refused::Repeated));
        }
    }
}

/// Late by as much as RTP takes a packet for late (100, RFC 3550 A.1), and then once only.
#[test]
fn r3_a_late_packet_is_taken() {
    let (mut outbound, mut inbound) = pair(Suite::AesCm128HmacSha1_80);
    let late = protected(&mut outbound, &packet(65_500, 1));
    for ahead in 1..=100 {
        let next = protected(&mut outbound, &packet(65_500_u16.wrapping_add(ahead), 1));
        opened(&mut inbound, &next).unwrap();
    }
    assert_eq!(opened(&mut inbound, &late), Ok(packet(65_500, 1)));
    assert_eq!(opened(&mut inbound, &late), Err(Refused::Repeated));
}

#[test]
fn r3_an_index_is_used_once() {
    for suite in Suite::ALL {
        let (mut outbound, _) = pair(suite);
        protected(&mut outbound, &packet(7, 1));
        let mut again = b"before".to_vec();
        again.extend(packet(7, 1));
        assert_eq!(outbound.protect_rtp(&mut again, 6), Err(Refused::Repeated));
        assert_eq!(again, b"before", "nothing leaves");
        // Another source has indices of its own.
        protected(&mut outbound, &packet(7, 2));
    }
}

#[test]
fn r3_short_and_odd_packets_are_refused() {
    for suite in Suite::ALL {
        let (mut outbound, mut inbound) = pair(suite);
        let whole = protected(&mut outbound, &packet(7, 1));
        let report = protected_rtcp(&mut outbound, &report(1));
        for length in 0..whole.len() {
            assert!(opened(&mut inbound, &whole[..length]).is_err(), "{suite:?}: RTP of {length}");
        }
        for length in 0..report.len() {
            assert!(opened_rtcp(&mut inbound, &report[..length]).is_err(), "{suite:?}: RTCP of {length}");
        }
        let mut many_csrcs = whole.clone();
        many_csrcs.truncate(40);
        many_csrcs[0] = 0x8f;
        assert_eq!(opened(&mut inbound, &many_csrcs), Err(Refused::Malformed));
        let mut long_extension = whole.clone();
        long_extension[0] = 0x90;
        assert_eq!(opened(&mut inbound, &long_extension), Err(Refused::Malformed));
        let mut in_the_clear = report.clone();
        let word = if suite == Suite::AesCm128HmacSha1_80 || suite == Suite::AesCm128HmacSha1_32 {
            report.len() - 14
        } else {
            report.len() - 4
        };
        in_the_clear[word] &= 0x7f;
        assert_eq!(opened_rtcp(&mut inbound, &in_the_clear), Err(Refused::Malformed), "{suite:?}: without E");
    }
}

/// With the key of another session, suite or protocol nothing can be read.
#[test]
fn r3_other_keys_open_nothing() {
    for suite in Suite::ALL {
        let (mut outbound, _) = pair(suite);
        let secret = protected(&mut outbound, &packet(7, 1));
        for other in Suite::ALL.into_iter().filter(|&other| other != suite) {
            assert!(opened(&mut pair(other).1, &secret).is_err(), "{suite:?} by {other:?}");
        }
        let mut stranger = Inbound::new(&some_key(suite, 2));
        assert_eq!(opened(&mut stranger, &secret), Err(Refused::NotAuthentic));
        assert!(opened_rtcp(&mut pair(suite).1, &secret).is_err());
    }
}

// ---- Keys with a name -------------------------------------------------------------------------------------------

/// Where it is in a packet: before the tag of HMAC-SHA1 (RFC 3711 §3.1, figure 1; behind the index in RTCP, §3.4, figure 2),
/// and last with GCM, whose tag is part of what is encrypted (RFC 7714 §7.2, §9.2).
#[test]
fn the_name_of_a_key_is_in_every_packet() {
    for (suite, behind_rtp, behind_rtcp) in [
        (Suite::AesCm128HmacSha1_80, 10, 10),
        (Suite::AesCm128HmacSha1_32, 4, 10),
        (Suite::AeadAes128Gcm, 0, 0),
        (Suite::AeadAes256Gcm, 0, 0),
    ] {
        for (mki, name) in [
            (Mki::new(7, 1), vec![7]),
            (Mki::new(0x1234, 4), vec![0, 0, 0x12, 0x34]),
            (Mki::new(1, 32), [&[0; 31][..], &[1]].concat()),
        ] {
            let (mut plain, mut inbound) = pair(suite);
            let (mut named, _) = pair(suite);
            (named.0.mki, inbound.context.mki) = (mki, mki);
            let with_name = |packet: &[u8], behind: usize| {
                let (front, tag) = packet.split_at(packet.len() - behind);
                [front, &name, tag].concat()
            };
            let rtp = protected(&mut named, &packet(7, 1));
            assert_eq!(rtp, with_name(&protected(&mut plain, &packet(7, 1)), behind_rtp), "{suite:?}");
            let rtcp = protected_rtcp(&mut named, &report(1));
            assert_eq!(rtcp, with_name(&protected_rtcp(&mut plain, &report(1)), behind_rtcp), "{suite:?}");

            // Changed in any bit, cut, or without it, a packet is refused and left as it was.
            for at in 0..rtp.len() * 8 {
                let mut forged = rtp.clone();
                forged[at / 8] ^= 1 << (at % 8);
                let before = forged.clone();
                assert!(inbound.unprotect_rtp(&mut forged).is_err(), "{suite:?}, bit {at}");
                assert_eq!(forged, before);
            }
            for length in 0..rtp.len() {
                assert!(opened(&mut inbound, &rtp[..length]).is_err(), "{suite:?}: RTP of {length}");
            }
            for length in 0..rtcp.len() {
                assert!(opened_rtcp(&mut inbound, &rtcp[..length]).is_err(), "{suite:?}: RTCP of {length}");
            }
            let mut other = rtp.clone();
            let last = rtp.len() - behind_rtp - 1;
            other[last] ^= 1;
            assert_eq!(opened(&mut inbound, &other), Err(Refused::NotAuthentic), "another name");
            assert_eq!(opened(&mut inbound, &rtp), Ok(packet(7, 1)));
            assert_eq!(opened(&mut inbound, &rtp), Err(Refused::Repeated));
            assert_eq!(opened_rtcp(&mut inbound, &rtcp), Ok(report(1)));
        }
    }
}

// ---- Indices ----------------------------------------------------------------------------------------------------

#[test]
fn r5_the_roll_over_counter_is_kept_over_loss_and_a_change_of_source() {
    for suite in Suite::ALL {
        let (mut outbound, mut inbound) = pair(suite);
        let (mut sequence, mut turns) = (65_000_u16, 0);
        for step in 0..2_000_u16 {
            let ssrc = 1 + u32::from(step % 3 == 0);
            let secret = protected(&mut outbound, &packet(sequence, ssrc));
            // A burst of loss now and then, of up to half a second.
            if step % 50 < 25 {
                assert_eq!(
                    opened(&mut inbound, &secret),
                    Ok(packet(sequence, ssrc)),
                    "{suite:?}: step {step}"
                );
            }
            let next = sequence.wrapping_add(200);
            turns += u32::from(next < sequence);
            sequence = next;
        }
        assert!(turns > 5);
    }
}

#[test]
fn a_key_ends_with_its_last_index() {
    for suite in Suite::ALL {
        let (mut outbound, mut inbound) = pair(suite);
        let mut stream = outbound.0.streams.get(1);
        stream.rtp.enter(RTP_INDICES - 2);
        stream.rtcp.enter(RTCP_INDICES - 2);
        outbound.0.streams.put(stream);
        inbound.context.streams.put(stream);
        let last = protected(&mut outbound, &packet(65_535, 1));
        assert_eq!(opened(&mut inbound, &last), Ok(packet(65_535, 1)));
        let last = protected_rtcp(&mut outbound, &report(1));
        assert_eq!(opened_rtcp(&mut inbound, &last), Ok(report(1)));
        let mut out = packet(0, 1);
        assert_eq!(outbound.protect_rtp(&mut out, 0), Err(Refused::Exhausted));
        let mut out = report(1);
        assert_eq!(outbound.protect_rtcp(&mut out, 0), Err(Refused::Exhausted));
        assert!(out.is_empty(), "nothing leaves");
    }
}

// ---- Keys -------------------------------------------------------------------------------------------------------

#[test]
fn keys_have_the_length_of_their_suite_and_are_never_shown() {
    for (suite, length) in Suite::ALL.into_iter().zip([44, 28, 30, 30]) {
        assert_eq!(Suite::from_name(suite.name()), Some(suite));
        assert!(MasterKey::new(suite, &vec![0xa5; length]).is_some());
        assert!(MasterKey::new(suite, &vec![0xa5; length - 1]).is_none());
        assert!(MasterKey::new(suite, &vec![0xa5; length + 1]).is_none());
        let key = MasterKey::new(suite, &vec![0xa5; length]).unwrap();
        let keys = Keys::new(key, key);
        let shown = format!("{keys:?} {:#?} {:?}", Outbound::new(&key), Inbound::new(&key)).to_lowercase();
        assert!(!shown.contains("a5") && !shown.contains("165"), "{shown}");
    }
}

proptest! {
    #[test]
    fn r3_noise_opens_nothing_and_never_panics(
        noise in proptest::collection::vec(any::<u8>(), 0..200),
        suite in 0..4_usize,
    ) {
        let (_, mut inbound) = pair(Suite::ALL[suite]);
        let (mut rtp, mut rtcp) = (noise.clone(), noise);
        if let Some(first) = rtp.first_mut() {
            *first = *first & 0x3f | 0x80;
        }
        prop_assert!(inbound.unprotect_rtp(&mut rtp).is_err());
        prop_assert!(inbound.unprotect_rtcp(&mut rtcp).is_err());
    }

    #[test]
    fn what_is_protected_comes_out_in_any_order_that_a_window_holds(
        order in Just((0..100_u16).collect::<Vec<_>>()).prop_shuffle(),
        start in any::<u16>(),
        suite in 0..4_usize,
    ) {
        let (mut outbound, mut inbound) = pair(Suite::ALL[suite]);
        // The first packet fixes where a source begins.
        let opening = protected(&mut outbound, &packet(start.wrapping_sub(1), 1));
        prop_assert!(opened(&mut inbound, &opening).is_ok());
        let secrets: Vec<_> =
            (0..100).map(|at| protected(&mut outbound, &packet(start.wrapping_add(at), 1))).collect();
        for at in order {
            let plain = packet(start.wrapping_add(at), 1);
            prop_assert_eq!(opened(&mut inbound, &secrets[usize::from(at)]), Ok(plain));
        }
    }
}
