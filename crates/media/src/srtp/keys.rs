//! Session keys from a master key (RFC 3711 §4.3, RFC 7714 §11): the key stream of counter mode, from a place that is named
//! by what the key is for. The key derivation rate is zero, so they are derived once.

use aes::cipher::consts::U16;
use aes::cipher::{BlockCipherEncrypt, BlockSizeUser, InnerIvInit, KeyInit, StreamCipher};
use aes::{Aes128Enc, Aes256Enc};
use ctr::{Ctr128BE, CtrCore, flavors};

use crate::srtp::{MasterKey, Suite};

/// The key of HMAC-SHA1 (RFC 3711 §5.2).
pub(super) const AUTHENTICATION_KEY: usize = 20;
/// The salt that counter mode takes; those of GCM are two bytes shorter.
pub(super) const SALT: usize = 14;

/// Which packets a session key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Rtp,
    Rtcp,
}

/// The keys of one session and purpose; of the cipher key and the salt the suite uses as much as it has.
pub(super) struct SessionKeys {
    pub(super) cipher: [u8; 32],
    pub(super) authentication: [u8; AUTHENTICATION_KEY],
    pub(super) salt: [u8; SALT],
}

/// Derives the keys of one purpose.
pub(super) fn session_keys(master: &MasterKey, purpose: Purpose) -> SessionKeys {
    let suite = master.suite();
    let (key, salt) = master.expose().split_at(suite.key());
    let first_label = match purpose {
        Purpose::Rtp => 0,
        Purpose::Rtcp => 3,
    };
    // A salt of 96 bits has zeros behind it (RFC 7714 §11).
    let mut padded = [0; SALT];
    padded[..salt.len()].copy_from_slice(salt);
    let mut keys = SessionKeys { cipher: [0; 32], authentication: [0; AUTHENTICATION_KEY], salt: [0; SALT] };
    derive(suite, key, padded, first_label, &mut keys.cipher[..suite.key()]);
    derive(suite, key, padded, first_label + 1, &mut keys.authentication);
    derive(suite, key, padded, first_label + 2, &mut keys.salt[..suite.salt()]);
    keys
}

/// `PRF_n(k_master, (label || r) XOR master_salt)` with r = 0.
fn derive(suite: Suite, key: &[u8], mut salt: [u8; SALT], label: u8, out: &mut [u8]) {
    salt[7] ^= label;
    let mut iv = [0; 16];
    iv[..SALT].copy_from_slice(&salt);
    match suite {
        Suite::AeadAes256Gcm => {
            let cipher = Aes256Enc::new_from_slice(key).expect("a key of AES-256 has 32 bytes");
            apply_key_stream(&cipher, iv, out);
        }
        Suite::AeadAes128Gcm | Suite::AesCm128HmacSha1_80 | Suite::AesCm128HmacSha1_32 => {
            let cipher = Aes128Enc::new_from_slice(key).expect("a key of AES-128 has 16 bytes");
            apply_key_stream(&cipher, iv, out);
        }
    }
}

/// AES in counter mode (RFC 3711 §4.1.1). The last 16 bits of the counter count blocks: a datagram has far fewer than they
/// can, so no carry leaves them.
pub(super) fn apply_key_stream<C>(cipher: &C, iv: [u8; 16], data: &mut [u8])
where
    C: BlockCipherEncrypt + BlockSizeUser<BlockSize = U16>,
{
    let core = CtrCore::<&C, flavors::Ctr128BE>::inner_iv_init(cipher, &iv.into());
    Ctr128BE::from_core(core).apply_keystream(data);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::srtp::tests::bytes;

    fn check(suite: Suite, master: &str, purpose: Purpose, [cipher, authentication, salt]: [&str; 3]) {
        let master = MasterKey::new(suite, &bytes(master)).expect("a key of the suite");
        let keys = session_keys(&master, purpose);
        assert_eq!(keys.cipher[..suite.key()], bytes(cipher), "{suite:?}: cipher key");
        assert_eq!(keys.salt[..suite.salt()], bytes(salt), "{suite:?}: salt");
        assert_eq!(keys.authentication[..], bytes(authentication), "{suite:?}: authentication key");
    }

    /// RFC 3711 B.3. Its authentication key is longer than the 20 bytes of HMAC-SHA1; a key stream has the same
    /// beginning however much of it is taken.
    #[test]
    fn rfc_3711_b3_key_derivation() {
        check(
            Suite::AesCm128HmacSha1_80,
            "E1F97A0D3E018BE0D64FA32C06DE4139 0EC675AD498AFEEBB6960B3AABE6",
            Purpose::Rtp,
            [
                "C61E7A93744F39EE10734AFE3FF7A087",
                "CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4",
                "30CBBC08863D8C85D49DB34A9AE1",
            ],
        );
    }

    /// RFC 3711 B.2: the key stream and its carry out of the last byte of the block counter.
    #[test]
    fn rfc_3711_b2_key_stream() {
        let key = bytes("2B7E151628AED2A6ABF7158809CF4F3C");
        let cipher = Aes128Enc::new_from_slice(&key).expect("16 bytes");
        let iv = bytes("F0F1F2F3F4F5F6F7F8F9FAFBFCFD0000").try_into().expect("16 bytes");
        let mut stream = vec![0; 0xff02 * 16];
        apply_key_stream(&cipher, iv, &mut stream);
        for (block, expected) in [
            (0, "E03EAD0935C95E80E166B16DD92B4EB4"),
            (1, "D23513162B02D0F72A43A2FE4A5F97AB"),
            (2, "41E95B3BB0A2E8DD477901E4FCA894C0"),
            (0xfeff, "EC8CDF7398607CB0F2D21675EA9EA1E4"),
            (0xff00, "362B7C3C6773516318A077D7FC5073AE"),
            (0xff01, "6A2CC3787889374FBEB4C81B17BA6C44"),
        ] {
            assert_eq!(stream[block * 16..][..16], bytes(expected), "block {block:#x}");
        }
    }
}
