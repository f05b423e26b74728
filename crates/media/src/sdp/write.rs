//! Our descriptions as they are written (RFC 8866 §5).

use std::fmt::Write as _;

use super::crypto::Crypto;
use super::numbers::Beside;
use super::parse::{MAX_PTIME_MS, Media, Profile};
use super::{Direction, Events, LocalMedia};
use crate::codec::Codec;

/// What we ask of who sends us Opus: to protect it against loss where it can (RFC 7587 §6.1). Its other parameters are as
/// we want them where nothing is said: one channel, and every band.
const OPUS: &str = "useinbandfec=1";

/// Our stream of audio in one description.
#[derive(Clone, Debug)]
pub(super) struct Audio {
    pub(super) profile: Profile,
    /// Codecs and their payload types, in order of preference.
    pub(super) encodings: Vec<(Codec, u8)>,
    /// What is beside them, with its clock rates and payload types.
    pub(super) beside: Vec<(Beside, u32, u8)>,
    /// The telephone-events among them.
    pub(super) events: Events,
    pub(super) rtcp_mux: bool,
    pub(super) cryptos: Vec<Crypto>,
    pub(super) direction: Direction,
}

impl Audio {
    /// The `m=` line and what belongs to it.
    fn write(&self, text: &mut String, local: &LocalMedia) {
        // Writing to a string cannot fail.
        let _ = write!(text, "m=audio {} {}", local.port, self.profile.name());
        let audio = self.encodings.iter().map(|(_, number)| number);
        for number in audio.chain(self.beside.iter().map(|(.., number)| number)) {
            let _ = write!(text, " {number}");
        }
        text.push_str("\r\n");
        for (codec, number) in &self.encodings {
            let _ = write!(text, "a=rtpmap:{number} {}/{}", codec.name(), codec.clock_rate());
            // One channel goes without saying (RFC 8866 §6.6).
            let _ = match codec.channels() {
                1 => write!(text, "\r\n"),
                channels => write!(text, "/{channels}\r\n"),
            };
            if *codec == Codec::Opus {
                let _ = write!(text, "a=fmtp:{number} {OPUS}\r\n");
            }
        }
        for (beside, clock_rate, number) in &self.beside {
            let _ = write!(text, "a=rtpmap:{number} {}/{clock_rate}\r\n", beside.name());
            if *beside == Beside::TelephoneEvent {
                let _ = write!(text, "a=fmtp:{number} {}\r\n", self.events);
            }
        }
        for crypto in &self.cryptos {
            let _ = write!(text, "{crypto}\r\n");
        }
        if self.rtcp_mux {
            text.push_str("a=rtcp-mux\r\n");
        }
        let direction = self.direction.name();
        let ptime_ms = local.ptime_ms;
        let _ = write!(text, "a=ptime:{ptime_ms}\r\na=maxptime:{MAX_PTIME_MS}\r\na={direction}\r\n");
    }
}

/// A whole description: our stream between those that are rejected. The time is the offerer's (RFC 3264 §6).
pub(super) fn description(
    local: &LocalMedia,
    time: &str,
    audio: &Audio,
    (before, after): (&[String], &[String]),
) -> String {
    let LocalMedia { address, session_id, version, .. } = local;
    let family = if address.is_ipv4() { "IP4" } else { "IP6" };
    let mut text = format!(
        "v=0\r\no=offhook {session_id} {version} IN {family} {address}\r\ns=-\r\nc=IN {family} {address}\r\nt={time}\r\n"
    );
    text.extend(before.iter().map(String::as_str));
    audio.write(&mut text, local);
    text.extend(after.iter().map(String::as_str));
    text
}

/// The line that refuses a stream, or keeps it refused (RFC 3264 §6, §8.2).
pub(super) fn rejected(media: &Media<'_>) -> String {
    let format = media.formats.first().copied().unwrap_or("0");
    format!("m={} 0 {} {format}\r\n", media.kind, media.protocol)
}
