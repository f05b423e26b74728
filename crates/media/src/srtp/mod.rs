//! Secure RTP (RFC 3711, RFC 7714): packets are protected last before they leave, and believed first when they come.
//!
//! ```text
//!   MasterKey ─▶ session keys (keys.rs) ─▶ Transform (transform.rs): counter mode and HMAC-SHA1, or GCM
//!   arrival:   source ─▶ index ─▶ seen before? (stream.rs) ─▶ authentic? ─▶ decrypted, in place
//!   departure: source ─▶ index ─▶ used before? ─▶ encrypted and authenticated, in place
//! ```
//! Nothing of a packet that fails is used for anything: no statistics, no silence that ends, no source that is learned
//! (reliability.md R3). It is dropped, and whoever asks counts it. Nothing here allocates after a source's first packet.
//!
//! An index is used once: what a sender would protect a second time, it drops. Two packets under one index would give
//! away what both say, and with GCM the key of the tags too (RFC 7714 §8.1). That is why a key outlives offers and answers
//! that repeat it, and the window of its indices with it ([`Session`]).

mod keys;
mod session;
mod stream;
#[cfg(test)]
mod tests;
mod transform;

use std::fmt;
use std::num::NonZeroU8;

use crate::srtp::keys::{Purpose, session_keys};
pub(crate) use crate::srtp::session::Session;
use crate::srtp::stream::{Stream, Streams};
use crate::srtp::transform::Transform;

/// The fixed header of RTP; CSRCs and an extension follow it in the clear (RFC 3711 §3.1).
const RTP_HEADER: usize = 12;
/// What of RTCP stays in the clear: the first packet's header and SSRC (RFC 3711 §3.4).
const RTCP_HEADER: usize = 8;
/// The E bit and the index behind a packet of RTCP.
const RTCP_INDEX: usize = 4;
/// The E bit: the packet is encrypted. Whoever agreed to encryption takes nothing without it.
const ENCRYPTED: u32 = 1 << 31;
/// One more than the last index of RTP under one key (RFC 3711 §9.2).
const RTP_INDICES: u64 = 1 << 48;
/// One more than the last index of RTCP under one key (RFC 3711 §9.2).
const RTCP_INDICES: u64 = 1 << 31;
/// The longest master key and salt: those of AES-256 with GCM.
const MASTER_MAX: usize = 44;
/// The most bytes that a master key identifier may have (RFC 4568 §6.1).
const MKI_MAX: usize = 128;

/// A crypto-suite of RFC 4568 §6.2 or RFC 7714 §14.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Suite {
    /// `AEAD_AES_256_GCM`.
    AeadAes256Gcm,
    /// `AEAD_AES_128_GCM`.
    AeadAes128Gcm,
    /// `AES_CM_128_HMAC_SHA1_80`, which everybody has.
    AesCm128HmacSha1_80,
    /// `AES_CM_128_HMAC_SHA1_32`: tags of 4 bytes on RTP, of 10 on RTCP.
    AesCm128HmacSha1_32,
}

impl Suite {
    /// All of them, the strongest first: the order in which they are offered.
    pub const ALL: [Self; 4] =
        [Self::AeadAes256Gcm, Self::AeadAes128Gcm, Self::AesCm128HmacSha1_80, Self::AesCm128HmacSha1_32];

    /// Its name in SDP.
    pub fn name(self) -> &'static str {
        match self {
            Self::AeadAes256Gcm => "AEAD_AES_256_GCM",
            Self::AeadAes128Gcm => "AEAD_AES_128_GCM",
            Self::AesCm128HmacSha1_80 => "AES_CM_128_HMAC_SHA1_80",
            Self::AesCm128HmacSha1_32 => "AES_CM_128_HMAC_SHA1_32",
        }
    }

    /// The suite of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|suite| suite.name() == name)
    }

    /// Bytes of the master key.
    fn key(self) -> usize {
        match self {
            Self::AeadAes256Gcm => 32,
            Self::AeadAes128Gcm | Self::AesCm128HmacSha1_80 | Self::AesCm128HmacSha1_32 => 16,
        }
    }

    /// Bytes of the master salt.
    fn salt(self) -> usize {
        match self {
            Self::AeadAes256Gcm | Self::AeadAes128Gcm => 12,
            Self::AesCm128HmacSha1_80 | Self::AesCm128HmacSha1_32 => 14,
        }
    }

    /// Bytes of a master key with its salt.
    pub fn master(self) -> usize {
        self.key() + self.salt()
    }
}

/// Whether the media of a call is protected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protection {
    /// Never: it goes in the clear.
    #[default]
    Off,
    /// Where both sides can (RFC 8643).
    Optional,
    /// Always, or there is no call.
    Required,
}

/// What the keys of calls are drawn from: nobody else may know or guess it. It is never shown.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Seed(pub [u8; 32]);

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed(<redacted>)")
    }
}

/// A master key and its salt, for one direction. It is never shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct MasterKey {
    suite: Suite,
    bytes: [u8; MASTER_MAX],
}

impl MasterKey {
    /// The key and salt that these bytes are; none where there are not as many as the suite has.
    pub fn new(suite: Suite, key_and_salt: &[u8]) -> Option<Self> {
        let mut bytes = [0; MASTER_MAX];
        if key_and_salt.len() != suite.master() {
            return None;
        }
        bytes[..key_and_salt.len()].copy_from_slice(key_and_salt);
        Some(Self { suite, bytes })
    }

    /// What it is for.
    pub fn suite(&self) -> Suite {
        self.suite
    }

    /// The key and the salt, to be written into a description and nowhere else.
    pub(crate) fn expose(&self) -> &[u8] {
        &self.bytes[..self.suite.master()]
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}(<redacted>)", self.suite.name())
    }
}

/// A master key identifier (RFC 3711 §3.1, RFC 4568 §6.1): whoever agreed on one has it in each packet under that key. It is
/// a number, of so many bytes there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mki {
    value: [u8; 8],
    length: NonZeroU8,
}

impl Mki {
    /// The number `value` in `length` bytes; none where it does not fit into them, or a description may not ask for so many.
    /// Numbers beyond 64 bits, which nobody counts keys to, are not taken.
    pub fn new(value: u64, length: u8) -> Option<Self> {
        let fits = length >= 8 || value >> (8 * u32::from(length)) == 0;
        let length = NonZeroU8::new(length).filter(|length| fits && usize::from(length.get()) <= MKI_MAX)?;
        Some(Self { value: value.to_be_bytes(), length })
    }

    pub(crate) fn value(self) -> u64 {
        u64::from_be_bytes(self.value)
    }

    /// Bytes in a packet.
    pub(crate) fn length(self) -> usize {
        self.length.get().into()
    }

    /// What stands in a packet is the end of these.
    fn padded(self) -> [u8; MKI_MAX] {
        let mut bytes = [0; MKI_MAX];
        bytes[MKI_MAX - 8..].copy_from_slice(&self.value);
        bytes
    }
}

/// The keys of both directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keys {
    /// What we protect with.
    pub ours: MasterKey,
    /// What the peer protects with; of the same suite.
    pub theirs: MasterKey,
    /// What names our key in what we send; nothing, if none.
    pub our_mki: Option<Mki>,
    /// What names the peer's in what it sends.
    pub their_mki: Option<Mki>,
}

impl Keys {
    /// Keys that nothing names.
    pub fn new(ours: MasterKey, theirs: MasterKey) -> Self {
        Self { ours, theirs, our_mki: None, their_mki: None }
    }
}

/// Why a packet is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// It is too short, or no packet of its protocol.
    Malformed,
    /// Its index has been seen (arrival) or used (departure), or is too old to know.
    Repeated,
    /// Its tag is not what the key makes of it, or it names another key.
    NotAuthentic,
    /// The key has no index left.
    Exhausted,
}

/// What one key does for RTP and for RTCP.
#[derive(Debug)]
struct Context {
    rtp: Transform,
    rtcp: Transform,
    streams: Streams,
    /// What names the key in each packet.
    mki: Option<Mki>,
}

impl Context {
    fn new(key: &MasterKey) -> Self {
        let rtp = Transform::new(key.suite, &session_keys(key, Purpose::Rtp), Purpose::Rtp);
        let rtcp = Transform::new(key.suite, &session_keys(key, Purpose::Rtcp), Purpose::Rtcp);
        Self { rtp, rtcp, streams: Streams::default(), mki: None }
    }

    fn transform(&self, purpose: Purpose) -> &Transform {
        match purpose {
            Purpose::Rtp => &self.rtp,
            Purpose::Rtcp => &self.rtcp,
        }
    }

    /// Names the key in a protected packet that `out` ends with: before the tag of HMAC-SHA1, behind all where there is none
    /// (RFC 3711 §3.1, §3.4; RFC 7714 §7.2). The tag does not cover it.
    fn name_key(&self, purpose: Purpose, out: &mut Vec<u8>) {
        let Some(mki) = self.mki else { return };
        let at = out.len() - self.transform(purpose).behind_mki();
        let padded = mki.padded();
        out.splice(at..at, padded[MKI_MAX - mki.length()..].iter().copied());
    }
}

/// One direction of a session, outward.
#[derive(Debug)]
struct Outbound(Context);

impl Outbound {
    fn new(key: &MasterKey) -> Self {
        Self(Context::new(key))
    }

    /// Protects the RTP packet that `out` ends with, from `start`. One that cannot be is taken off.
    fn protect_rtp(&mut self, out: &mut Vec<u8>, start: usize) -> Result<(), Refused> {
        let result = self.rtp(out, start);
        if result.is_err() {
            out.truncate(start);
        }
        result
    }

    /// Protects the compound of RTCP that `out` ends with, from `start`. One that cannot be is taken off.
    fn protect_rtcp(&mut self, out: &mut Vec<u8>, start: usize) -> Result<(), Refused> {
        let result = self.rtcp(out, start);
        if result.is_err() {
            out.truncate(start);
        }
        result
    }

    fn rtp(&mut self, out: &mut Vec<u8>, start: usize) -> Result<(), Refused> {
        let (mut stream, index, header) = rtp_place(&self.0.streams, &out[start..])?;
        self.0.rtp.seal_rtp(stream.ssrc, index, out, start, header);
        self.0.name_key(Purpose::Rtp, out);
        stream.rtp.enter(index);
        self.0.streams.put(stream);
        Ok(())
    }

    fn rtcp(&mut self, out: &mut Vec<u8>, start: usize) -> Result<(), Refused> {
        let ssrc = rtcp_ssrc(&out[start..])?;
        let mut stream = self.0.streams.get(ssrc);
        let index = stream.rtcp.next();
        let word = u32::try_from(index).ok().filter(|_| index < RTCP_INDICES).ok_or(Refused::Exhausted)?;
        self.0.rtcp.seal_rtcp(ssrc, ENCRYPTED | word, out, start);
        self.0.name_key(Purpose::Rtcp, out);
        stream.rtcp.enter(index);
        self.0.streams.put(stream);
        Ok(())
    }
}

/// One direction of a session, inward.
#[derive(Debug)]
struct Inbound {
    context: Context,
    /// The sources of the keys before, for their roll-over counters.
    former: Streams,
}

impl Inbound {
    fn new(key: &MasterKey) -> Self {
        Self { context: Context::new(key), former: Streams::default() }
    }

    /// Another key of a peer that has sent by these.
    ///
    /// Whether its roll-over counters begin anew is not agreed upon. Re-keying does not touch them (RFC 3711 §3.3.1), another
    /// crypto context begins with 0 (RFC 4568 §7.1.4), and a new key alone is the one to some (rtpengine, pjsip) and the other
    /// to the rest (FreeSWITCH, Microsoft Teams). The first packet of a source that is authentic tells.
    fn after(key: &MasterKey, former: &Self) -> Self {
        Self { context: Context::new(key), former: former.context.streams.since(former.former.clone()) }
    }

    /// Makes of the protected RTP packet the plain one, in its place; its length. What is refused is left as it was.
    fn unprotect_rtp(&mut self, packet: &mut [u8]) -> Result<usize, Refused> {
        self.without_mki(Purpose::Rtp, packet, Self::rtp)
    }

    /// The same of a compound of RTCP.
    fn unprotect_rtcp(&mut self, packet: &mut [u8]) -> Result<usize, Refused> {
        self.without_mki(Purpose::Rtcp, packet, Self::rtcp)
    }

    /// Opens a packet without what names its key, which is out of the way behind it meanwhile, and back if it is refused.
    fn without_mki(
        &mut self,
        purpose: Purpose,
        packet: &mut [u8],
        open: fn(&mut Self, &mut [u8]) -> Result<usize, Refused>,
    ) -> Result<usize, Refused> {
        let Some(mki) = self.context.mki else { return open(self, packet) };
        let padded = mki.padded();
        let named = &padded[MKI_MAX - mki.length()..];
        let behind = self.context.transform(purpose).behind_mki();
        let plain = packet.len().checked_sub(named.len()).ok_or(Refused::Malformed)?;
        let at = plain.checked_sub(behind).ok_or(Refused::Malformed)?;
        if packet[at..at + named.len()] != *named {
            return Err(Refused::NotAuthentic);
        }
        packet[at..].rotate_left(named.len());
        let opened = open(self, &mut packet[..plain]);
        if opened.is_err() {
            packet[at..].rotate_right(named.len());
        }
        opened
    }

    fn rtp(&mut self, packet: &mut [u8]) -> Result<usize, Refused> {
        let (mut stream, mut index, header) = rtp_place(&self.context.streams, packet)?;
        let mut opened = self.context.rtp.open_rtp(stream.ssrc, index, packet, header);
        if let Some(kept) = opened.err().and_then(|_| self.kept_index(&stream, index)) {
            index = kept;
            opened = self.context.rtp.open_rtp(stream.ssrc, index, packet, header);
        }
        let length = opened?;
        stream.rtp.enter(index);
        self.context.streams.put(stream);
        Ok(length)
    }

    /// The index of a source's first packet if its counter has gone on under this key, and that makes another than `index`.
    fn kept_index(&self, stream: &Stream, index: u64) -> Option<u64> {
        let former = self.former.get(stream.ssrc).rtp;
        let [.., high, low] = index.to_be_bytes();
        let kept = former.estimate(u16::from_be_bytes([high, low])).filter(|_| !stream.rtp.is_heard())?;
        (kept != index && kept < RTP_INDICES).then_some(kept)
    }

    fn rtcp(&mut self, packet: &mut [u8]) -> Result<usize, Refused> {
        let ssrc = rtcp_ssrc(packet)?;
        let word = self.context.rtcp.rtcp_word(packet).ok_or(Refused::Malformed)?;
        if word & ENCRYPTED == 0 {
            return Err(Refused::Malformed);
        }
        let index = u64::from(word & !ENCRYPTED);
        let mut stream = self.context.streams.get(ssrc);
        if !stream.rtcp.is_new(index) {
            return Err(Refused::Repeated);
        }
        let length = self.context.rtcp.open_rtcp(ssrc, word, packet)?;
        stream.rtcp.enter(index);
        self.context.streams.put(stream);
        Ok(length)
    }
}

/// The stream of an RTP packet, the index it has there, and how many of its bytes stay in the clear.
fn rtp_place(streams: &Streams, packet: &[u8]) -> Result<(Stream, u64, usize), Refused> {
    let header = rtp_header(packet).ok_or(Refused::Malformed)?;
    let sequence = u16::from_be_bytes([packet[2], packet[3]]);
    let ssrc = u32::from_be_bytes([packet[8], packet[9], packet[10], packet[11]]);
    let stream = streams.get(ssrc);
    let index = stream.rtp.estimate(sequence).ok_or(Refused::Repeated)?;
    if index >= RTP_INDICES {
        return Err(Refused::Exhausted);
    }
    if !stream.rtp.is_new(index) {
        return Err(Refused::Repeated);
    }
    Ok((stream, index, header))
}

/// The length of an RTP header with its CSRCs and extension, if the packet has as much (RFC 3550 §5.1, §5.3.1).
fn rtp_header(packet: &[u8]) -> Option<usize> {
    let first = *packet.first().filter(|&&first| first >> 6 == 2)?;
    let mut length = RTP_HEADER + 4 * usize::from(first & 0x0f);
    if first & 0x10 != 0 {
        let words = packet.get(length + 2..length + 4)?;
        length += 4 + 4 * usize::from(u16::from_be_bytes([words[0], words[1]]));
    }
    (length <= packet.len()).then_some(length)
}

/// The SSRC of the sender of a compound (RFC 3550 §6.1).
fn rtcp_ssrc(packet: &[u8]) -> Result<u32, Refused> {
    match packet.first_chunk::<RTCP_HEADER>() {
        Some([first, .., a, b, c, d]) if first >> 6 == 2 => Ok(u32::from_be_bytes([*a, *b, *c, *d])),
        _ => Err(Refused::Malformed),
    }
}
