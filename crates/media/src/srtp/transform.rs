//! What is done to the bytes of a packet: AES in counter mode and HMAC-SHA1 (RFC 3711 §4.1.1, §4.2), or AES with GCM
//! (RFC 7714 §8, §9).
//!
//! ```text
//!   RTP    header (clear) │ payload (encrypted) │ tag
//!   RTCP   8 bytes (clear)│ rest (encrypted)    │ E, index │ tag        HMAC
//!   RTCP   8 bytes (clear)│ rest (encrypted)    │ tag │ E, index        GCM
//! ```
//! Tags are compared in constant time, and nothing is decrypted whose tag is wrong.

use std::fmt;

use aes::Aes128Enc;
use aes_gcm::aead::AeadInOut;
use aes_gcm::{Aes128Gcm, Aes256Gcm};
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

use crate::srtp::keys::{Purpose, SALT, SessionKeys, apply_key_stream};
use crate::srtp::{RTCP_HEADER, RTCP_INDEX, Refused, Suite};

/// The tag of GCM (RFC 7714 §12).
const GCM_TAG: usize = 16;
/// The salt, and the IV, of GCM.
const GCM_SALT: usize = 12;
/// The tag of HMAC-SHA1: on RTCP always, and on RTP in the suite of that name.
const LONG_TAG: usize = 10;
/// The tag of `AES_CM_128_HMAC_SHA1_32` on RTP.
const SHORT_TAG: usize = 4;

/// How the packets of one session and one protocol are transformed.
#[allow(
    clippy::large_enum_variant,
    reason = "whoever has one keeps it in a box, with all that it needs in one place"
)]
pub(super) enum Transform {
    Counter { cipher: Aes128Enc, salt: [u8; SALT], mac: Hmac<Sha1>, tag: usize },
    Gcm { cipher: Gcm, salt: [u8; GCM_SALT] },
}

/// GCM by the length of its key.
pub(super) enum Gcm {
    Aes128(Aes128Gcm),
    Aes256(Aes256Gcm),
}

impl Transform {
    pub(super) fn new(suite: Suite, keys: &SessionKeys, purpose: Purpose) -> Self {
        let key = &keys.cipher[..suite.key()];
        let right = "the session key has the length that the suite says";
        let cipher = match suite {
            Suite::AeadAes256Gcm => Gcm::Aes256(Aes256Gcm::new_from_slice(key).expect(right)),
            Suite::AeadAes128Gcm => Gcm::Aes128(Aes128Gcm::new_from_slice(key).expect(right)),
            Suite::AesCm128HmacSha1_80 | Suite::AesCm128HmacSha1_32 => {
                let is_short = suite == Suite::AesCm128HmacSha1_32 && purpose == Purpose::Rtp;
                return Self::Counter {
                    cipher: Aes128Enc::new_from_slice(key).expect(right),
                    salt: keys.salt,
                    mac: Hmac::new_from_slice(&keys.authentication).expect("HMAC takes a key of any length"),
                    tag: if is_short { SHORT_TAG } else { LONG_TAG },
                };
            }
        };
        let mut salt = [0; GCM_SALT];
        salt.copy_from_slice(&keys.salt[..GCM_SALT]);
        Self::Gcm { cipher, salt }
    }

    /// Encrypts the RTP packet from `start` behind its header, and appends its tag.
    pub(super) fn seal_rtp(&self, ssrc: u32, index: u64, out: &mut Vec<u8>, start: usize, header: usize) {
        match self {
            Self::Counter { cipher, salt, mac, tag } => {
                apply_key_stream(cipher, counter_iv(salt, ssrc, index), &mut out[start + header..]);
                let code = rtp_mac(mac, index, &out[start..]).finalize().into_bytes();
                out.extend_from_slice(&code[..*tag]);
            }
            Self::Gcm { cipher, salt } => {
                let (clear, secret) = out[start..].split_at_mut(header);
                let tag = cipher.seal(rtp_iv(salt, ssrc, index), clear, secret);
                out.extend_from_slice(&tag);
            }
        }
    }

    /// Checks an RTP packet and decrypts what is behind its header; its length without the tag.
    pub(super) fn open_rtp(
        &self,
        ssrc: u32,
        index: u64,
        packet: &mut [u8],
        header: usize,
    ) -> Result<usize, Refused> {
        let length = packet.len().checked_sub(self.tag()).filter(|&length| length >= header);
        let length = length.ok_or(Refused::Malformed)?;
        let (plain, tag) = packet.split_at_mut(length);
        match self {
            Self::Counter { cipher, salt, mac, .. } => {
                let code = rtp_mac(mac, index, plain);
                code.verify_truncated_left(tag).map_err(|_| Refused::NotAuthentic)?;
                apply_key_stream(cipher, counter_iv(salt, ssrc, index), &mut plain[header..]);
            }
            Self::Gcm { cipher, salt } => {
                let (clear, secret) = plain.split_at_mut(header);
                cipher.open(rtp_iv(salt, ssrc, index), clear, secret, tag)?;
            }
        }
        Ok(length)
    }

    /// Encrypts the compound of RTCP from `start` behind its first SSRC, and appends its index (with the E bit, as `word`)
    /// and its tag.
    pub(super) fn seal_rtcp(&self, ssrc: u32, word: u32, out: &mut Vec<u8>, start: usize) {
        match self {
            Self::Counter { cipher, salt, mac, tag } => {
                let iv = counter_iv(salt, ssrc, index_of(word));
                apply_key_stream(cipher, iv, &mut out[start + RTCP_HEADER..]);
                out.extend_from_slice(&word.to_be_bytes());
                let code = mac.clone().chain_update(&out[start..]).finalize().into_bytes();
                out.extend_from_slice(&code[..*tag]);
            }
            Self::Gcm { cipher, salt } => {
                let (clear, secret) = out[start..].split_at_mut(RTCP_HEADER);
                let tag = cipher.seal(rtcp_iv(salt, ssrc, word), &rtcp_clear(clear, word), secret);
                out.extend_from_slice(&tag);
                out.extend_from_slice(&word.to_be_bytes());
            }
        }
    }

    /// The E bit and the index of a protected compound, if it is long enough to have them.
    pub(super) fn rtcp_word(&self, packet: &[u8]) -> Option<u32> {
        let end = packet.len().checked_sub(self.behind_mki())?;
        let word = packet.get(RTCP_HEADER..end)?.last_chunk::<RTCP_INDEX>()?;
        Some(u32::from_be_bytes(*word))
    }

    /// Checks a compound of RTCP that has this `word`, and decrypts it; its length without index and tag.
    pub(super) fn open_rtcp(&self, ssrc: u32, word: u32, packet: &mut [u8]) -> Result<usize, Refused> {
        let length = packet.len().checked_sub(RTCP_INDEX + self.tag());
        let length = length.filter(|&length| length >= RTCP_HEADER).ok_or(Refused::Malformed)?;
        match self {
            Self::Counter { cipher, salt, mac, .. } => {
                let (covered, tag) = packet.split_at_mut(length + RTCP_INDEX);
                let code = mac.clone().chain_update(&*covered);
                code.verify_truncated_left(tag).map_err(|_| Refused::NotAuthentic)?;
                let iv = counter_iv(salt, ssrc, index_of(word));
                apply_key_stream(cipher, iv, &mut covered[RTCP_HEADER..length]);
            }
            Self::Gcm { cipher, salt } => {
                let (plain, behind) = packet.split_at_mut(length);
                let (clear, secret) = plain.split_at_mut(RTCP_HEADER);
                let clear = rtcp_clear(clear, word);
                cipher.open(rtcp_iv(salt, ssrc, word), &clear, secret, &behind[..GCM_TAG])?;
            }
        }
        Ok(length)
    }

    fn tag(&self) -> usize {
        match self {
            Self::Counter { tag, .. } => *tag,
            Self::Gcm { .. } => GCM_TAG,
        }
    }

    /// What follows the index in a compound of RTCP, and the name of the key in any packet that has one.
    pub(super) fn behind_mki(&self) -> usize {
        match self {
            Self::Counter { tag, .. } => *tag,
            Self::Gcm { .. } => 0,
        }
    }
}

impl Gcm {
    fn seal(&self, iv: [u8; GCM_SALT], clear: &[u8], secret: &mut [u8]) -> [u8; GCM_TAG] {
        let tag = match self {
            Self::Aes128(cipher) => cipher.encrypt_inout_detached(&iv.into(), clear, secret.into()),
            Self::Aes256(cipher) => cipher.encrypt_inout_detached(&iv.into(), clear, secret.into()),
        };
        tag.expect("a datagram is shorter than what GCM can take").into()
    }

    fn open(&self, iv: [u8; GCM_SALT], clear: &[u8], secret: &mut [u8], tag: &[u8]) -> Result<(), Refused> {
        let tag = <&[u8; GCM_TAG]>::try_from(tag).map_err(|_| Refused::Malformed)?;
        let opened = match self {
            Self::Aes128(cipher) => {
                cipher.decrypt_inout_detached(&iv.into(), clear, secret.into(), tag.into())
            }
            Self::Aes256(cipher) => {
                cipher.decrypt_inout_detached(&iv.into(), clear, secret.into(), tag.into())
            }
        };
        opened.map_err(|_| Refused::NotAuthentic)
    }
}

/// The MAC over a packet and its roll-over counter (RFC 3711 §4.2).
fn rtp_mac(mac: &Hmac<Sha1>, index: u64, packet: &[u8]) -> Hmac<Sha1> {
    let [_, _, counter @ .., _, _] = index.to_be_bytes();
    mac.clone().chain_update(packet).chain_update(counter)
}

/// `(salt * 2^16) XOR (SSRC * 2^64) XOR (index * 2^16)` (RFC 3711 §4.1.1).
fn counter_iv(salt: &[u8; SALT], ssrc: u32, index: u64) -> [u8; 16] {
    let mut iv = [0; 16];
    iv[..SALT].copy_from_slice(salt);
    xor(&mut iv[4..8], &ssrc.to_be_bytes());
    xor(&mut iv[8..14], &index.to_be_bytes()[2..]);
    iv
}

/// `(0 || SSRC || counter || sequence number) XOR salt` (RFC 7714 §8.1).
fn rtp_iv(salt: &[u8; GCM_SALT], ssrc: u32, index: u64) -> [u8; GCM_SALT] {
    let mut iv = *salt;
    xor(&mut iv[2..6], &ssrc.to_be_bytes());
    xor(&mut iv[6..12], &index.to_be_bytes()[2..]);
    iv
}

/// `(0 || SSRC || 0 || index) XOR salt` (RFC 7714 §9.1).
fn rtcp_iv(salt: &[u8; GCM_SALT], ssrc: u32, word: u32) -> [u8; GCM_SALT] {
    rtp_iv(salt, ssrc, index_of(word))
}

/// What the tag of a compound covers in the clear (RFC 7714 §9.2).
fn rtcp_clear(header: &[u8], word: u32) -> [u8; RTCP_HEADER + RTCP_INDEX] {
    let mut clear = [0; RTCP_HEADER + RTCP_INDEX];
    clear[..RTCP_HEADER].copy_from_slice(header);
    clear[RTCP_HEADER..].copy_from_slice(&word.to_be_bytes());
    clear
}

/// The index without the E bit.
fn index_of(word: u32) -> u64 {
    u64::from(word & !super::ENCRYPTED)
}

fn xor(target: &mut [u8], with: &[u8]) {
    target.iter_mut().zip(with).for_each(|(byte, with)| *byte ^= with);
}

/// Keys are never shown.
impl fmt::Debug for Transform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Transform(<redacted>)")
    }
}
