//! Keys by offer and answer: expected values are written by hand from RFC 4568, RFC 8643 and RFC 5124.

use super::tests::{body, local};
use super::*;
use crate::srtp::{MasterKey, Mki, Suite};

const KEY_80: &str = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz";
const KEY_128: &str = "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYg==";

fn with(protection: Protection) -> LocalMedia {
    LocalMedia { protection, ..local() }
}

/// A body over this profile, with these `a=crypto` lines.
fn over(profile: &str, cryptos: &[&str]) -> String {
    let lines: Vec<String> = cryptos.iter().map(|crypto| format!("a=crypto:{crypto}")).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    body("0", &lines).replace("RTP/AVP", profile)
}

fn eighty(tag: u32) -> String {
    format!("{tag} AES_CM_128_HMAC_SHA1_80 inline:{KEY_80}|2^31")
}

fn line<'a>(text: &'a str, start: &str) -> Vec<&'a str> {
    text.lines().filter(|line| line.starts_with(start)).collect()
}

/// The tag, suite and key of each `a=crypto` line.
fn cryptos(text: &str) -> Vec<(String, String, String)> {
    let split = |line: &&str| {
        let words: Vec<&str> = line.trim_start_matches("a=crypto:").split(' ').collect();
        let [tag, suite, key] = words[..] else { panic!("{line}") };
        (tag.to_owned(), suite.to_owned(), key.strip_prefix("inline:").unwrap().to_owned())
    };
    line(text, "a=crypto:").iter().map(split).collect()
}

fn theirs(media: &Negotiated) -> MasterKey {
    media.keys.unwrap().theirs
}

#[test]
fn an_offer_by_policy() {
    let off = offer(&with(Protection::Off));
    assert!(off.contains("m=audio 20000 RTP/AVP 0") && !off.contains("crypto"));
    let names =
        ["AEAD_AES_256_GCM", "AEAD_AES_128_GCM", "AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32"];
    // 44, 28, 30 and 30 bytes.
    let lengths = [60, 40, 40, 40];
    for (policy, profile) in [(Protection::Optional, "RTP/AVP"), (Protection::Required, "RTP/SAVP")] {
        let text = offer(&with(policy));
        assert!(text.contains(&format!("m=audio 20000 {profile} 0 8 101\r\n")), "{text}");
        let cryptos = cryptos(&text);
        assert_eq!(cryptos.len(), 4);
        for (index, (tag, suite, key)) in cryptos.iter().enumerate() {
            assert_eq!((tag.as_str(), suite.as_str()), ((index + 1).to_string().as_str(), names[index]));
            assert_eq!(key.len(), lengths[index]);
            assert!(cryptos[..index].iter().all(|(.., other)| other[..20] != key[..20]), "keys of their own");
        }
        let other = LocalMedia { session_id: 8, ..with(policy) };
        assert!(!offer(&other).contains(&cryptos[0].2), "another call has other keys");
    }
}

#[test]
fn an_answer_is_of_the_form_of_the_offer() {
    for profile in ["RTP/SAVP", "RTP/SAVPF", "RTP/AVP", "RTP/AVPF", "rtp/savp"] {
        for policy in [Protection::Optional, Protection::Required] {
            let (text, media) = answer(over(profile, &[&eighty(7)]).as_bytes(), &with(policy)).unwrap();
            assert!(text.contains(&format!("m=audio 20000 {} 0\r\n", profile.to_uppercase())), "{text}");
            let [(tag, suite, key)] = &cryptos(&text)[..] else { panic!("{text}") };
            assert_eq!((tag.as_str(), suite.as_str(), key.len()), ("7", "AES_CM_128_HMAC_SHA1_80", 40));
            assert_ne!(key, KEY_80, "each side has a key of its own");
            let expected = MasterKey::new(Suite::AesCm128HmacSha1_80, b"YS___semctl () {\t220;}\n}\nunles");
            assert_eq!(Some(theirs(&media)), expected);
        }
    }
    assert!(answer(over("RTP/AVPF", &[]).as_bytes(), &local()).unwrap().0.contains("RTP/AVPF 0\r\n"));
}

#[test]
fn the_offerers_first_suite_that_we_know_is_taken() {
    let unknown = format!("1 AES_256_CM_HMAC_SHA1_80 inline:{KEY_80}");
    let unencrypted = format!("{} UNENCRYPTED_SRTCP", eighty(2));
    let gcm = format!("3 AEAD_AES_128_GCM inline:{KEY_128}");
    let body = over("RTP/SAVP", &[&unknown, &unencrypted, &gcm, &eighty(4)]);
    let (text, media) = answer(body.as_bytes(), &with(Protection::Required)).unwrap();
    assert_eq!(theirs(&media).suite(), Suite::AeadAes128Gcm);
    assert_eq!(cryptos(&text)[0].0, "3");
}

/// What each policy makes of each form of offer: protected, in the clear, or refused.
#[test]
fn policies_and_offers() {
    let crypto = eighty(1);
    let bad = format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY_80} UNENCRYPTED_SRTCP");
    let named = Err(SdpError::CryptoParameter("UNENCRYPTED_SRTCP"));
    for (policy, profile, lines, expected) in [
        (Protection::Off, "RTP/AVP", vec![], Ok(false)),
        (Protection::Off, "RTP/AVP", vec![&crypto], Ok(false)),
        (Protection::Off, "RTP/SAVP", vec![&crypto], Err(SdpError::Protected)),
        (Protection::Optional, "RTP/AVP", vec![], Ok(false)),
        (Protection::Optional, "RTP/AVP", vec![&bad], Ok(false)),
        (Protection::Optional, "RTP/AVP", vec![&crypto], Ok(true)),
        (Protection::Optional, "RTP/SAVP", vec![&crypto], Ok(true)),
        (Protection::Off, "RTP/SAVP", vec![&bad], Err(SdpError::Protected)),
        (Protection::Optional, "RTP/SAVP", vec![&bad], named.clone()),
        (Protection::Optional, "RTP/SAVP", vec![], Err(SdpError::NoKeys)),
        (Protection::Required, "RTP/AVP", vec![], Err(SdpError::NoKeys)),
        (Protection::Required, "RTP/AVP", vec![&bad], named),
        (Protection::Required, "RTP/AVP", vec![&crypto], Ok(true)),
        (Protection::Required, "RTP/SAVP", vec![&bad, &crypto], Ok(true)),
        (Protection::Required, "RTP/SAVP", vec![], Err(SdpError::NoKeys)),
        (Protection::Required, "UDP/TLS/RTP/SAVP", vec![&crypto], Err(SdpError::NoAudio)),
    ] {
        let lines: Vec<&str> = lines.iter().map(|line| line.as_str()).collect();
        let answered = answer(over(profile, &lines).as_bytes(), &with(policy));
        let protected = answered.map(|(text, media)| {
            assert_eq!(media.keys.is_some(), text.contains("a=crypto:"));
            media.keys.is_some()
        });
        assert_eq!(protected, expected, "{policy:?}: {profile} {lines:?}");
    }
}

/// RFC 4568 §6.1, and its example of §5.1: what the offerer's key is called in packets, ours is called in the answer.
#[test]
fn a_key_that_has_a_name_is_answered_by_one_of_the_same_name() {
    let line = format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY_80}|2^20|1:4");
    let mut session = Session::new(with(Protection::Required));
    let (text, media) = session.answer(over("RTP/SAVP", &[&line]).as_bytes()).unwrap();
    let [(tag, suite, key)] = &cryptos(&text)[..] else { panic!("{text}") };
    assert_eq!((tag.as_str(), suite.as_str()), ("1", "AES_CM_128_HMAC_SHA1_80"));
    assert_eq!((&key[40..], &key[..40] == KEY_80), ("|1:4", false), "{key}");
    let (keys, mki) = (media.keys.unwrap(), Mki::new(1, 4));
    assert_eq!((keys.our_mki, keys.their_mki), (mki, mki));
    // Our offer later on has it still, and an answer without one takes it from what the peer sends.
    assert_eq!(&cryptos(&session.offer())[0].2, key);
    let keys = session.accept(over("RTP/SAVP", &[&eighty(1)]).as_bytes()).unwrap().keys.unwrap();
    assert_eq!((keys.our_mki, keys.their_mki), (mki, None));
    // An offer that names it no more is answered with the same key and no name.
    let (again, _) = session.answer(over("RTP/SAVP", &[&eighty(1)]).as_bytes()).unwrap();
    assert_eq!(cryptos(&again)[0].2, key[..40]);
}

/// FreeSWITCH offers what is optional as two streams.
#[test]
fn of_a_stream_that_is_offered_twice_the_policy_chooses() {
    let twice = over("RTP/SAVP", &[&eighty(1)]) + "m=audio 40000 RTP/AVP 0\r\n";
    for (policy, expected) in [
        (Protection::Off, ["m=audio 0 RTP/SAVP 0", "m=audio 20000 RTP/AVP 0"]),
        (Protection::Optional, ["m=audio 20000 RTP/SAVP 0", "m=audio 0 RTP/AVP 0"]),
        (Protection::Required, ["m=audio 20000 RTP/SAVP 0", "m=audio 0 RTP/AVP 0"]),
    ] {
        let (text, media) = answer(twice.as_bytes(), &with(policy)).unwrap();
        assert_eq!(line(&text, "m="), expected);
        assert_eq!(media.keys.is_some(), policy != Protection::Off);
    }
}

#[test]
fn an_answer_to_our_offer_takes_one_of_our_keys() {
    for policy in [Protection::Optional, Protection::Required] {
        let mut session = Session::new(with(policy));
        let ours = cryptos(&session.offer());
        let profile = if policy == Protection::Required { "RTP/SAVP" } else { "RTP/AVP" };
        let media = session.accept(over(profile, &[&eighty(3)]).as_bytes()).unwrap();
        let keys = media.keys.unwrap();
        assert_eq!(keys.ours.suite(), Suite::AesCm128HmacSha1_80);
        let again = cryptos(&session.offer());
        assert_eq!(again.len(), 1, "what is in use is offered");
        assert_eq!((&again[0].1, &again[0].2), (&ours[2].1, &ours[2].2), "with the key in use");
    }
}

#[test]
fn p5_what_must_be_protected_is_not_answered_in_the_clear() {
    for (policy, profile, expected) in [
        (Protection::Required, "RTP/SAVP", Err(SdpError::NoKeys)),
        (Protection::Required, "RTP/AVP", Err(SdpError::NoKeys)),
        (Protection::Optional, "RTP/SAVP", Err(SdpError::NoKeys)),
        // One who knows no keys answers so (RFC 8643).
        (Protection::Optional, "RTP/AVP", Ok(None)),
        (Protection::Off, "RTP/SAVP", Err(SdpError::Protected)),
        (Protection::Off, "RTP/AVP", Ok(None)),
    ] {
        let media = accept(over(profile, &[]).as_bytes(), &with(policy));
        assert_eq!(media.map(|media| media.keys), expected, "{policy:?}: {profile}");
    }
    // Where we offered no keys, a line of them answers nothing.
    let lines = [eighty(1)];
    let off = |profile| accept(over(profile, &[&lines[0]]).as_bytes(), &with(Protection::Off));
    assert_eq!(off("RTP/SAVP"), Err(SdpError::Protected));
    assert_eq!(off("RTP/AVP").unwrap().keys, None);
}

/// RFC 4568 §5.1.3: one of the suites that were offered, with its tag, and nothing else. A peer that answers with keys of its
/// own protects by them, whatever the profile says: it is not one that knows no keys.
#[test]
fn p5_answers_whose_keys_are_none_of_ours_are_refused() {
    let not_offered = "of a tag that was not offered";
    let other_suite = "of another suite than its tag was offered with";
    let unknown = "of a suite or a form that is not known here";
    let kasumi = format!("3 F8_128_HMAC_SHA1_80 inline:{KEY_80}");
    let unencrypted = format!("{} UNENCRYPTED_SRTP", eighty(3));
    let two_keys = format!("{};inline:{KEY_80}", eighty(3));
    for (lines, expected) in [
        (vec![eighty(9)], SdpError::CryptoAnswer(not_offered)),
        (vec![eighty(0)], SdpError::CryptoAnswer(not_offered)),
        // Tag 1 is that of AES-256 with GCM.
        (vec![eighty(1)], SdpError::CryptoAnswer(other_suite)),
        (vec![kasumi], SdpError::CryptoAnswer(unknown)),
        (vec!["3".to_owned()], SdpError::CryptoAnswer(unknown)),
        (vec![eighty(3), eighty(9)], SdpError::CryptoAnswer("more than once")),
        (vec![eighty(3), eighty(3)], SdpError::CryptoAnswer("more than once")),
        (vec![unencrypted], SdpError::CryptoParameter("UNENCRYPTED_SRTP")),
        (vec![two_keys], SdpError::CryptoParameter("more than one key")),
    ] {
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        for policy in [Protection::Optional, Protection::Required] {
            for profile in ["RTP/AVP", "RTP/SAVP"] {
                let media = accept(over(profile, &lines).as_bytes(), &with(policy));
                assert_eq!(media.as_ref(), Err(&expected), "{policy:?}: {profile} {lines:?}");
            }
        }
    }
}

#[test]
fn keys_stay_over_offers_that_repeat_them() {
    let mut session = Session::new(with(Protection::Optional));
    let first = session.answer(over("RTP/SAVP", &[&eighty(1)]).as_bytes()).unwrap();
    let again = session.answer(over("RTP/SAVP", &[&eighty(1)]).as_bytes()).unwrap();
    assert_eq!(first, again, "not even a version");
    // Another key of theirs changes theirs only.
    let other = format!("1 AES_CM_128_HMAC_SHA1_80 inline:{}", KEY_80.replace('W', "X"));
    let (_, changed) = session.answer(over("RTP/SAVP", &[&other]).as_bytes()).unwrap();
    assert_eq!(changed.keys.unwrap().ours, first.1.keys.unwrap().ours);
    assert_ne!(theirs(&changed), theirs(&first.1));
    // Our offer keeps the profile, the suite and the key.
    let ours = session.offer();
    assert!(ours.contains("m=audio 20000 RTP/SAVP 0"), "{ours}");
    assert_eq!(cryptos(&ours)[0].2, cryptos(&first.0)[0].2);
}

/// A key whose indices would begin anew is not used again: two packets under one index give both away.
#[test]
fn a_key_that_was_left_does_not_come_back() {
    let gcm = format!("1 AEAD_AES_128_GCM inline:{KEY_128}");
    let mut session = Session::new(with(Protection::Optional));
    let mut ours = Vec::new();
    let no_keys: [&str; 0] = [];
    for lines in [&[eighty(1).as_str()][..], &[&gcm], &[&eighty(1)], &no_keys, &[&eighty(1)]] {
        let (_, media) = session.answer(over("RTP/AVP", lines).as_bytes()).unwrap();
        ours.extend(media.keys.map(|keys| keys.ours));
    }
    assert_eq!(ours.len(), 4);
    for (index, key) in ours.iter().enumerate() {
        assert!(!ours[..index].contains(key), "key {index}");
    }
}

#[test]
fn a_refused_change_leaves_the_keys_as_they_are() {
    let mut session = Session::new(with(Protection::Required));
    let (_, before) = session.answer(over("RTP/SAVP", &[&eighty(1)]).as_bytes()).unwrap();
    assert_eq!(session.answer(body("0", &[]).as_bytes()).unwrap_err(), SdpError::NoKeys);
    let gcm = format!("1 AEAD_AES_128_GCM inline:{KEY_128}");
    let no_codec = over("RTP/SAVP", &[&gcm]).replace("SAVP 0", "SAVP 18");
    assert_eq!(session.answer(no_codec.as_bytes()).unwrap_err(), SdpError::NoCommonCodec);
    let (_, after) = session.answer(over("RTP/SAVP", &[&eighty(1)]).as_bytes()).unwrap();
    assert_eq!(before, after);
}

#[test]
fn a_port_is_shared_where_both_say_so() {
    let sharing = LocalMedia { rtcp_mux: true, ..local() };
    assert!(offer(&sharing).contains("\r\na=rtcp-mux\r\n") && !offer(&local()).contains("rtcp-mux"));
    let plain = body("0", &["a=rtcp:50000"]);
    let mux = body("0", &["a=rtcp-mux", "a=rtcp:50000"]);
    for (ours, theirs, expected) in
        [(&sharing, &mux, true), (&sharing, &plain, false), (&local(), &mux, false)]
    {
        let media = accept(theirs.as_bytes(), ours).unwrap();
        assert_eq!(media.rtcp_mux, expected);
        let port = if expected { 40_000 } else { 50_000 };
        assert_eq!((media.remote_rtp.port(), media.remote_rtcp.port()), (40_000, port));
    }
    // An offer is answered as it is, whatever we would offer ourselves.
    for ours in [&sharing, &local()] {
        let (text, media) = answer(mux.as_bytes(), ours).unwrap();
        assert!(
            text.contains("\r\na=rtcp-mux\r\n") && media.rtcp_mux && media.remote_rtcp == media.remote_rtp
        );
        let (text, media) = answer(plain.as_bytes(), ours).unwrap();
        assert!(!text.contains("rtcp-mux") && !media.rtcp_mux);
    }
    // What is shared goes on being shared.
    let mut session = Session::new(local());
    session.answer(mux.as_bytes()).unwrap();
    assert!(session.offer().contains("\r\na=rtcp-mux\r\n"));
}

#[test]
fn keys_are_in_descriptions_and_nowhere_else() {
    let mut session = Session::new(with(Protection::Required));
    let (text, media) = session.answer(over("RTP/SAVP", &[&eighty(1)]).as_bytes()).unwrap();
    session.offer();
    let local = with(Protection::Required);
    let told = format!("{:?}", LocalMedia { seed: Seed([0xa5; 32]), ..local });
    assert!(!told.contains("165") && !told.to_lowercase().contains("a5"), "{told}");
    let media = format!("{media:?}");
    assert!(!media.contains("semctl") && !media.contains(KEY_80) && media.contains("<redacted>"), "{media}");
    assert!(text.contains(" inline:"));
}
