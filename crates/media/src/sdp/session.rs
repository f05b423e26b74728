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

use super::parse::Description;
use super::{
    Encodings, LocalMedia, Negotiated, SdpError, TELEPHONE_EVENT, accept_as, answer_as, offer_as, rejected,
};
use crate::codec::Codec;

/// Our side of one session.
#[derive(Clone, Debug)]
pub struct Session {
    local: LocalMedia,
    /// Our last description; empty before the first.
    told: String,
    /// The `m=` lines of the streams that are rejected, around the one in use.
    before: Vec<String>,
    after: Vec<String>,
    encodings: Encodings,
    in_use: Option<Negotiated>,
}

impl Session {
    /// A session in which nothing has been told yet; the version of `local` is that of the first description.
    pub fn new(local: LocalMedia) -> Self {
        let encodings = Encodings::of(&local);
        Self { local, told: String::new(), before: Vec::new(), after: Vec::new(), encodings, in_use: None }
    }

    /// Our offer: everything that we can, what is in use first, sending and receiving; we hold nobody.
    pub fn offer(&mut self) -> String {
        if let Some(media) = &self.in_use {
            self.encodings = Encodings::around(&self.local, media);
        }
        let Self { before, after, encodings, .. } = &*self;
        let text = offer_as(&self.local, encodings, before, after);
        self.tell(text, |session| {
            offer_as(&session.local, &session.encodings, &session.before, &session.after)
        })
    }

    /// Our answer to an offer, and what holds from now on.
    ///
    /// # Errors
    /// [`SdpError`]: the offer cannot be answered (488), and what held before it goes on.
    pub fn answer(&mut self, offer: &[u8]) -> Result<(String, Negotiated), SdpError> {
        let codec = self.in_use.as_ref().map(|media| media.codec);
        let (text, media) = answer_as(offer, &self.local, codec)?;
        let description = Description::parse(offer)?;
        let (place, _) = description.audio()?;
        let mut streams = description.media.iter().map(rejected);
        self.before = streams.by_ref().take(place).collect();
        self.after = streams.skip(1).collect();
        self.in_use = Some(media.clone());
        let text = self.tell(text, |session| {
            answer_as(offer, &session.local, codec).map(|(text, _)| text).unwrap_or_default()
        });
        Ok((text, media))
    }

    /// What the peer's answer to our last [`Session::offer`] means.
    ///
    /// # Errors
    /// [`SdpError`]: the answer cannot be used, and what held before the offer goes on.
    pub fn accept(&mut self, answer: &[u8]) -> Result<Negotiated, SdpError> {
        let codec = self.in_use.as_ref().map(|media| media.codec);
        let media = accept_as(answer, &self.local, &self.encodings, codec)?;
        self.in_use = Some(media.clone());
        Ok(media)
    }

    /// Remembers a description as told, under a version of its own if it says something new.
    fn tell(&mut self, text: String, write: impl Fn(&Self) -> String) -> String {
        let text = if self.told.is_empty() || text == self.told {
            text
        } else {
            self.local.version += 1;
            write(self)
        };
        self.told.clone_from(&text);
        text
    }
}

impl Encodings {
    /// What a first offer has.
    pub(super) fn of(local: &LocalMedia) -> Self {
        let mut encodings = Self { audio: Vec::new(), telephone_event: TELEPHONE_EVENT };
        local.codecs.iter().for_each(|&codec| encodings.add(codec));
        encodings
    }

    /// What a later offer has: payload types keep the meaning that they have been given (RFC 3264 §8.3.2).
    fn around(local: &LocalMedia, media: &Negotiated) -> Self {
        let event = media.telephone_event.map(|event| event.receive_payload_type);
        let free = (TELEPHONE_EVENT..128).find(|number| *number != media.receive_payload_type);
        let telephone_event = event.or(free).unwrap_or(TELEPHONE_EVENT);
        let mut encodings = Self { audio: vec![(media.codec, media.receive_payload_type)], telephone_event };
        let others = local.codecs.iter().filter(|codec| **codec != media.codec);
        others.for_each(|&codec| encodings.add(codec));
        encodings
    }

    /// Adds a codec under its own number, or the first free one of the dynamic range (RFC 3551 §6); a codec whose own
    /// number means something else here is left out.
    fn add(&mut self, codec: Codec) {
        let taken = |number: u8| {
            number == self.telephone_event || self.audio.iter().any(|(_, other)| *other == number)
        };
        let number = match codec.static_payload_type() {
            Some(number) => (!taken(number)).then_some(number),
            None => (96..128).find(|number| !taken(*number)),
        };
        self.audio.extend(number.map(|number| (codec, number)));
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
