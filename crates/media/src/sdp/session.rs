//! Our side of a session over all its offers and answers (RFC 3264 §8): what the peer has been told, and what must stay
//! as it was told.
//!
//! ```text
//!   offer() ──▶ INVITE, or the 200 of an INVITE without one … accept() their answer
//!   their INVITE, re-INVITE or UPDATE ──▶ answer()
//! ```
//! The version of `o=` rises with each description that differs from the last, and with no other (§8). Streams keep
//! their places, and payload types their meanings. The codec in use stays as long as both sides have it: what is being
//! played or recorded goes on undisturbed.

use super::choice::{Chosen, Receives, Remote, Taken, answered};
use super::crypto::{Crypto, Ring};
use super::numbers::{Beside, Numbers};
use super::parse::{Description, Profile};
use super::write::{Audio, description, rejected};
use super::{Direction, Events, LocalMedia, Negotiated, Order, SdpError};
use crate::codec::Codec;
use crate::srtp::{Keys, Protection, Suite};

/// Our side of one session.
#[derive(Clone, Debug)]
pub struct Session {
    local: LocalMedia,
    /// Our last description; empty before the first.
    told: String,
    /// The `m=` lines of the streams that are rejected, around the one in use.
    before: Vec<String>,
    after: Vec<String>,
    numbers: Numbers,
    ring: Ring,
    /// The keys of our last offer.
    cryptos: Vec<Crypto>,
    in_use: Option<InUse>,
}

/// What was agreed on last.
#[derive(Clone, Debug)]
struct InUse {
    profile: Profile,
    media: Negotiated,
}

impl Session {
    /// A session in which nothing has been told yet; the version of `local` is that of the first description.
    pub fn new(local: LocalMedia) -> Self {
        Self {
            ring: Ring::new(local.seed, local.session_id),
            local,
            told: String::new(),
            before: Vec::new(),
            after: Vec::new(),
            numbers: Numbers::default(),
            cryptos: Vec::new(),
            in_use: None,
        }
    }

    /// Our offer: everything that we can, what is in use first, sending and receiving; we hold nobody.
    pub fn offer(&mut self) -> String {
        self.numbers.give(&self.local);
        self.cryptos = self.our_cryptos();
        let codecs = self.codecs();
        let with_number = |codec| self.numbers.codec(codec).map(|number| (codec, number));
        let audio = Audio {
            profile: self.in_use.as_ref().map_or(first_profile(self.local.protection), |it| it.profile),
            beside: self.numbers.all_beside(&codecs, &self.local),
            events: Events::OURS,
            encodings: codecs.into_iter().filter_map(with_number).collect(),
            rtcp_mux: self.offers_mux(),
            cryptos: self.cryptos.clone(),
            direction: Direction::SendRecv,
        };
        self.tell("0 0", &audio)
    }

    /// Our answer to an offer, and what holds from now on.
    ///
    /// # Errors
    /// [`SdpError`]: the offer cannot be answered (488), and what held before it goes on.
    pub fn answer(&mut self, offer: &[u8]) -> Result<(String, Negotiated), SdpError> {
        let offer = Description::parse(offer)?;
        let Taken { place, profile, audio, crypto } = Taken::of(&offer, self.local.protection)?;
        let chosen = Chosen::of(audio, &self.local, self.local.order, self.codec())?;
        let remote = Remote::of(audio, &self.local, audio.rtcp_mux)?;
        // Ours is named as theirs is (RFC 4568 §6.1 and its example).
        let keys = crypto.map(|Crypto { key: theirs, mki, .. }| Keys {
            ours: self.ring.key(theirs.suite()),
            theirs,
            our_mki: mki,
            their_mki: mki,
        });
        // An answer names the offerer's payload types, so both directions use the same.
        let (codec, number) = (chosen.codec, chosen.payload_type);
        self.numbers.learn(audio);
        self.numbers.learn_codec(codec, number);
        let events = chosen.telephone_event;
        let beside = [
            events.map(|events| (Beside::TelephoneEvent, events.clock_rate, events.payload_type)),
            chosen.comfort_noise.map(|number| (Beside::ComfortNoise, codec.clock_rate(), number)),
        ];
        let ours = Audio {
            profile,
            encodings: vec![(codec, number)],
            beside: beside.into_iter().flatten().collect(),
            events: events.map_or(Events::OURS, |chosen| chosen.events),
            rtcp_mux: audio.rtcp_mux,
            cryptos: crypto
                .zip(keys)
                .map(|(it, keys)| Crypto { tag: it.tag, key: keys.ours, mki: keys.our_mki })
                .into_iter()
                .collect(),
            direction: remote.direction,
        };
        let receives = Receives {
            audio: number,
            also: Vec::new(),
            telephone_event: events.map(|chosen| chosen.payload_type),
            comfort_noise: chosen.comfort_noise,
        };
        let media = remote.negotiated(&chosen, receives, keys);
        let mut streams = offer.media.iter().map(rejected);
        self.before = streams.by_ref().take(place).collect();
        self.after = streams.skip(1).collect();
        self.agree(profile, &media);
        Ok((self.tell(offer.time, &ours), media))
    }

    /// What the peer's answer to our last [`Session::offer`] means.
    ///
    /// # Errors
    /// [`SdpError`]: the answer cannot be used, and what held before the offer goes on.
    pub fn accept(&mut self, answer: &[u8]) -> Result<Negotiated, SdpError> {
        let answer = Description::parse(answer)?;
        let (profile, audio, keys) = answered(&answer, self.local.protection, &self.cryptos)?;
        let chosen = Chosen::of(audio, &self.local, Order::Theirs, self.codec())?;
        let remote = Remote::of(audio, &self.local, audio.rtcp_mux && self.offers_mux())?;
        let clock_rate = chosen.codec.clock_rate();
        let number = |codec: Codec| self.numbers.codec(codec);
        let receives = Receives {
            audio: number(chosen.codec).ok_or(SdpError::NoCommonCodec)?,
            also: chosen.others.iter().filter_map(|&codec| Some((number(codec)?, codec))).collect(),
            telephone_event: chosen
                .telephone_event
                .and_then(|chosen| self.numbers.beside(Beside::TelephoneEvent, chosen.clock_rate)),
            comfort_noise: self.numbers.beside(Beside::ComfortNoise, clock_rate),
        };
        let media = remote.negotiated(&chosen, receives, keys);
        self.agree(profile, &media);
        Ok(media)
    }

    fn codec(&self) -> Option<Codec> {
        self.in_use.as_ref().map(|it| it.media.codec)
    }

    /// What we offer, in order.
    fn codecs(&self) -> Vec<Codec> {
        let in_use = self.codec();
        let others = self.local.codecs.iter().copied().filter(|codec| Some(*codec) != in_use);
        in_use.into_iter().chain(others).collect()
    }

    /// What shares a port goes on sharing it.
    fn offers_mux(&self) -> bool {
        self.local.rtcp_mux || self.in_use.as_ref().is_some_and(|it| it.media.rtcp_mux)
    }

    /// The keys that we offer: one for each suite, or that in use.
    fn our_cryptos(&mut self) -> Vec<Crypto> {
        let in_use = self.in_use.as_ref().and_then(|it| it.media.keys);
        match (self.local.protection, in_use) {
            (Protection::Off, _) => Vec::new(),
            (_, Some(keys)) => vec![Crypto { tag: 1, key: keys.ours, mki: keys.our_mki }],
            (_, None) => {
                let suites = Suite::ALL.into_iter().zip(1..);
                suites.map(|(suite, tag)| Crypto { tag, key: self.ring.key(suite), mki: None }).collect()
            }
        }
    }

    /// This holds from now on.
    fn agree(&mut self, profile: Profile, media: &Negotiated) {
        let former = self.in_use.as_ref().and_then(|it| it.media.keys).map(|keys| keys.ours);
        if let Some(former) = former.filter(|former| media.keys.is_none_or(|keys| keys.ours != *former)) {
            self.ring.retire(&former);
        }
        self.in_use = Some(InUse { profile, media: media.clone() });
    }

    /// Writes a description, under a version of its own if it says something new.
    fn tell(&mut self, time: &str, audio: &Audio) -> String {
        let around = (self.before.as_slice(), self.after.as_slice());
        let mut text = description(&self.local, time, audio, around);
        if !self.told.is_empty() && text != self.told {
            self.local.version += 1;
            text = description(&self.local, time, audio, around);
        }
        self.told.clone_from(&text);
        text
    }
}

/// What a first offer goes over. One who knows no keys reads the second as plain RTP (RFC 8643).
fn first_profile(policy: Protection) -> Profile {
    match policy {
        Protection::Required => Profile::Savp,
        Protection::Off | Protection::Optional => Profile::Avp,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sdp::tests::{body, local};

    fn version(text: &str) -> &str {
        text.lines().find_map(|line| line.strip_prefix("o=offhook 7 ")).unwrap().split(' ').next().unwrap()
    }

    fn streams(text: &str) -> Vec<&str> {
        text.lines().filter(|line| line.starts_with("m=")).collect()
    }

    #[test]
    fn the_version_rises_with_what_we_say_and_not_with_what_they_say() {
        let mut session = Session::new(local());
        let mut answered = |offer: &str| version(&session.answer(offer.as_bytes()).unwrap().0).to_owned();
        assert_eq!(answered(&body("0 8", &[])), "1");
        assert_eq!(answered(&body("0 8", &[])), "1", "a refresh");
        assert_eq!(answered(&body("0", &["a=ptime:30"]).replace("40000", "41000")), "1", "their port");
        assert_eq!(answered(&body("0", &["a=sendonly"])), "2", "hold");
        assert_eq!(answered(&body("0", &["a=sendonly"])), "2");
        assert_eq!(answered(&body("0", &[])), "3", "resumed");
        assert_eq!(session.answer(b"v=0\r\n").unwrap_err(), SdpError::NoAudio);
        assert_eq!(version(&session.answer(body("0", &[]).as_bytes()).unwrap().0), "3", "nothing was told");
    }

    #[test]
    fn the_codec_in_use_stays_while_it_is_offered() {
        let mut session = Session::new(local());
        let mut codec = |formats: &str| session.answer(body(formats, &[]).as_bytes()).unwrap().1.codec;
        assert_eq!(codec("8 0"), Codec::Pcma);
        assert_eq!(codec("0 8"), Codec::Pcma, "still offered");
        assert_eq!(codec("0"), Codec::Pcmu, "no longer offered");
        assert_eq!(codec("18 8 0"), Codec::Pcmu);
    }

    #[test]
    fn a_stream_that_was_rejected_keeps_its_place_in_our_offer() {
        let mut session = Session::new(local());
        let offer = "v=0\r\nc=IN IP4 198.51.100.2\r\nt=0 0\r\nm=video 5000 RTP/AVP 31 34\r\n\
                     m=audio 40000 RTP/AVP 8 98\r\na=rtpmap:98 telephone-event/8000\r\nm=text 5002 RTP/AVP 97\r\n";
        session.answer(offer.as_bytes()).unwrap();
        let ours = session.offer();
        assert_eq!(
            streams(&ours),
            ["m=video 0 RTP/AVP 31", "m=audio 20000 RTP/AVP 8 0 98", "m=text 0 RTP/AVP 97"]
        );
        assert!(ours.contains("a=rtpmap:98 telephone-event/8000\r\n"), "{ours}");
        assert_eq!(version(&ours), "2");
        assert_eq!(version(&session.offer()), "2", "the same again");
        let theirs = "v=0\r\nc=IN IP4 198.51.100.2\r\nt=0 0\r\nm=video 0 RTP/AVP 31\r\n\
                      m=audio 40000 RTP/AVP 0 99\r\na=rtpmap:99 telephone-event/8000\r\nm=text 0 RTP/AVP 97\r\n";
        let media = session.accept(theirs.as_bytes()).unwrap();
        assert_eq!((media.codec, media.receive_payload_type), (Codec::Pcmu, 0));
        let event = media.telephone_event.unwrap();
        assert_eq!((event.send_payload_type, event.receive_payload_type), (99, 98));
    }

    #[test]
    fn our_offer_on_hold_lets_the_peer_resume() {
        let mut session = Session::new(local());
        session.answer(body("0", &["a=inactive"]).as_bytes()).unwrap();
        assert!(session.offer().ends_with("a=sendrecv\r\n"));
    }

    #[test]
    fn payload_types_keep_the_meaning_that_they_were_given() {
        // PCMU under 101, which is elsewhere ours for telephone-events, and under 8, which is elsewhere PCMA.
        for (number, expected) in [("101", "101 8 102"), ("8", "8 101"), ("127", "127 8 101")] {
            let mut session = Session::new(local());
            let map = format!("a=rtpmap:{number} PCMU/8000");
            session.answer(body(number, &[&map]).as_bytes()).unwrap();
            assert_eq!(streams(&session.offer()), [format!("m=audio 20000 RTP/AVP {expected}")], "{number}");
        }
    }

    #[test]
    fn a_bad_answer_changes_nothing() {
        let mut session = Session::new(local());
        session.answer(body("8", &[]).as_bytes()).unwrap();
        session.offer();
        session.accept(body("18", &[]).as_bytes()).unwrap_err();
        assert_eq!(session.answer(body("0 8", &[]).as_bytes()).unwrap().1.codec, Codec::Pcma);
    }
}
