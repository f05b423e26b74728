//! Digest authentication as a server (RFC 7616, RFC 8760; reliability S5): who asks without credentials is challenged,
//! once and without a trace.
//!
//! ```text
//!   nonce = time ‖ salt ‖ HMAC(time, salt, source)      nothing is kept of a nonce until it has been answered right
//!
//!   credentials ─► of our realm? ─► genuine, right? ─► young? ─► nc new? ─► let in
//!                       │ no             │ no             │ no       │ no
//!                       └───── 401 ──────┘                └─ 401 stale
//! ```
//!
//! The salt is the tag of the 401, another one for each request: so two requests never share a count, and the same
//! request again within a second gets the same challenge again. Wrong names and wrong passwords take the same way and
//! get the same answer. `stale` is said only to who knows the password (RFC 7616 §3.3).

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::secret::Secret;
use crate::digest::{Algorithm, Digest, Fields, quote};
use crate::event::Credentials;
use crate::message::{Message, Name, lossy, same_address, unfold};

/// How long a nonce may be used, in seconds: a few calls, and no more than a captured one is worth (reliability S5).
const LIFETIME: u64 = 60;
/// The most nonces whose counts are remembered: each has let in a request in the last minute.
const MAX_NONCES: usize = 16_384;

/// Why a request is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doubt {
    /// No credentials for us.
    Absent,
    /// They are not right.
    Wrong,
    /// They would be, but the nonce is too old.
    Stale,
    /// They would be, but have been used before.
    Replayed,
}

impl Doubt {
    /// Whether a new nonce is all that is missing.
    pub(crate) fn is_stale(self) -> bool {
        matches!(self, Self::Stale | Self::Replayed)
    }
}

/// Who has to know what.
pub(crate) struct Check<'a> {
    pub(crate) credentials: &'a Credentials,
    pub(crate) realm: &'a str,
    pub(crate) source: IpAddr,
}

/// The challenges of an endpoint.
#[derive(Debug, Default)]
pub(crate) struct Challenges {
    /// When the first nonce was made: their time counts from here.
    started: Option<Instant>,
    /// The counts of each nonce that has let in a request, by its time and salt.
    used: BTreeMap<(u64, String), Window>,
    /// Nonces before this time are old, whatever their lifetime.
    floor: u64,
}

impl Challenges {
    /// The values of `WWW-Authenticate`, the stronger first.
    pub(crate) fn ask(
        &mut self,
        secret: &Secret,
        now: Instant,
        check: &Check<'_>,
        salt: &str,
        stale: bool,
    ) -> [String; 2] {
        let nonce = seal(secret, self.seconds(now), salt, check.source);
        let stale = if stale { ", stale=true" } else { "" };
        [Algorithm::Sha256, Algorithm::Md5].map(|algorithm| {
            let (realm, algorithm) = (quote(check.realm), algorithm.name());
            format!("Digest realm={realm}, nonce=\"{nonce}\", algorithm={algorithm}, qop=\"auth\"{stale}")
        })
    }

    /// Whether a request shows who it is from.
    pub(crate) fn check(
        &mut self,
        secret: &Secret,
        now: Instant,
        check: &Check<'_>,
        request: &Message,
    ) -> Result<(), Doubt> {
        let all = request.raw_values(Name::Authorization).filter_map(|value| Fields::parse(&unfold(value)));
        let fields = all.into_iter().find(|fields| fields.get("realm") == Some(check.realm));
        let fields = fields.ok_or(Doubt::Absent)?;
        let answer = Answer::of(&fields, request).ok_or(Doubt::Wrong)?;
        let (time, salt) = genuine(secret, check.source, answer.nonce).ok_or(Doubt::Wrong)?;
        let digest = Digest {
            algorithm: answer.algorithm,
            credentials: check.credentials,
            realm: check.realm,
            nonce: answer.nonce,
            method: &lossy(request.method()),
            uri: answer.uri,
            auth: Some((answer.nc, answer.cnonce)),
        };
        // The response is computed and compared for unknown names too.
        let right = [check.credentials.username.as_bytes(), digest.response().as_bytes()].map(<[u8]>::to_vec);
        let told = [answer.username.as_bytes(), answer.response.as_bytes()];
        if !secret.same(&right.each_ref().map(Vec::as_slice), &told) {
            return Err(Doubt::Wrong);
        }
        self.count(self.seconds_since(now), time, salt, answer.count)
    }

    /// Takes a count of a genuine nonce.
    fn count(&mut self, now: u64, time: u64, salt: &str, count: u32) -> Result<(), Doubt> {
        self.forget(now.saturating_sub(LIFETIME - 1));
        let key = (time, salt.to_owned());
        let full = self.used.len() >= MAX_NONCES && !self.used.contains_key(&key);
        if full
            && time >= self.floor
            && let Some(((oldest, _), _)) = self.used.pop_first()
        {
            // What is forgotten could be replayed, so it and all of its age grow old at once.
            self.forget(oldest + 1);
        }
        if time < self.floor {
            return Err(Doubt::Stale);
        }
        if self.used.entry(key).or_default().take(count) { Ok(()) } else { Err(Doubt::Replayed) }
    }

    /// Everything before this time is old.
    fn forget(&mut self, floor: u64) {
        self.floor = self.floor.max(floor);
        while let Some(oldest) = self.used.first_entry()
            && oldest.key().0 < self.floor
        {
            oldest.remove();
        }
    }

    fn seconds(&mut self, now: Instant) -> u64 {
        self.started.get_or_insert(now);
        self.seconds_since(now)
    }

    fn seconds_since(&self, now: Instant) -> u64 {
        self.started.map_or(Duration::ZERO, |started| now.saturating_duration_since(started)).as_secs()
    }
}

/// A nonce: its time in seconds and its salt can be read from it, and only we can make it.
fn seal(secret: &Secret, time: u64, salt: &str, source: IpAddr) -> String {
    let source = source.to_canonical().to_string();
    let seal = secret.seal(&[b"nonce", &time.to_be_bytes(), salt.as_bytes(), source.as_bytes()]);
    format!("{time:08x}{salt}{seal}")
}

/// The time and the salt of a nonce of ours.
fn genuine<'a>(secret: &Secret, source: IpAddr, nonce: &'a str) -> Option<(u64, &'a str)> {
    let (time, rest) = nonce.split_at_checked(8)?;
    let (salt, _) = rest.split_at_checked(rest.len().checked_sub(32)?)?;
    let time = u64::from_str_radix(time, 16).ok()?;
    let right = seal(secret, time, salt, source);
    secret.same(&[right.as_bytes()], &[nonce.as_bytes()]).then_some((time, salt))
}

/// What a request answers to a challenge.
struct Answer<'a> {
    username: &'a str,
    nonce: &'a str,
    uri: &'a str,
    response: &'a str,
    algorithm: Algorithm,
    cnonce: &'a str,
    nc: &'a str,
    count: u32,
}

impl<'a> Answer<'a> {
    /// Reads what was asked for: `qop=auth` with its count and cnonce, an algorithm that was offered, and the URI of this
    /// very request.
    fn of(fields: &'a Fields, request: &Message) -> Option<Self> {
        let get = |name| fields.get(name).filter(|value| !value.is_empty());
        let nc = get("nc").filter(|nc| nc.len() == 8 && nc.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
        let uri = get("uri").filter(|uri| same_address(uri.as_bytes(), request.request_uri()))?;
        get("qop").filter(|qop| qop.eq_ignore_ascii_case("auth"))?;
        Some(Self {
            username: fields.get("username")?,
            nonce: get("nonce")?,
            uri,
            response: get("response")?,
            algorithm: Algorithm::of(fields.get("algorithm"))?,
            cnonce: get("cnonce")?,
            nc,
            count: u32::from_str_radix(nc, 16).ok().filter(|&count| count > 0)?,
        })
    }
}

/// The counts of one nonce that have been used: the highest, and which of the 63 below it. Requests may overtake each
/// other on the way.
#[derive(Debug, Default)]
struct Window {
    highest: u32,
    /// Bit n: the highest less n.
    used: u64,
}

impl Window {
    fn take(&mut self, count: u32) -> bool {
        if let Some(up) = count.checked_sub(self.highest).filter(|&up| up > 0) {
            self.used = self.used.checked_shl(up).unwrap_or(0) | 1;
            self.highest = count;
            return true;
        }
        let bit = 1_u64.checked_shl(self.highest - count).unwrap_or(0);
        let new = bit != 0 && self.used & bit == 0;
        self.used |= bit;
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::epoch;

    #[test]
    fn s5_each_count_once() {
        let mut window = Window::default();
        for (count, new) in [
            (1, true),
            (1, false),
            (3, true),
            (2, true),
            (2, false),
            (100, true),
            (37, true),
            (37, false),
            (36, false),
            (99, true),
            (u32::MAX, true),
            (100, false),
            (u32::MAX - 63, true),
            (u32::MAX, false),
        ] {
            assert_eq!(window.take(count), new, "{count}");
        }
    }

    #[test]
    fn s5_a_full_table_forgets_nothing_that_could_be_replayed() {
        let mut challenges = Challenges::default();
        let salt = |number: usize| format!("{number:016x}");
        for number in 0..MAX_NONCES {
            assert_eq!(
                challenges.count(10 + u64::from(number > 0), 10 + u64::from(number > 0), &salt(number), 1),
                Ok(())
            );
        }
        assert_eq!(challenges.count(12, 12, &salt(MAX_NONCES), 1), Ok(()));
        assert_eq!(challenges.used.len(), MAX_NONCES);
        assert_eq!(challenges.count(12, 10, &salt(0), 1), Err(Doubt::Stale), "the one that had to go");
        assert_eq!(challenges.count(12, 11, &salt(1), 1), Err(Doubt::Replayed));
        assert_eq!(challenges.count(12, 11, &salt(1), 2), Ok(()));
        // With their lifetime they go.
        assert_eq!(challenges.count(12 + LIFETIME, 12 + LIFETIME, &salt(0), 1), Ok(()));
        assert_eq!(challenges.used.len(), 1);
    }

    #[test]
    fn s5_a_nonce_is_ours_and_its_sources_only() {
        let secret = Secret::new([3; 64]);
        let source = |text: &str| text.parse::<IpAddr>().unwrap();
        let mut challenges = Challenges::default();
        let credentials = Credentials { username: "u".to_owned(), password: "p".to_owned() };
        let check = Check { credentials: &credentials, realm: "r", source: source("192.0.2.7") };
        challenges.ask(&secret, epoch(), &check, "00", false);
        let [value, _] = challenges.ask(&secret, epoch() + Duration::from_secs(17), &check, "0a0b", false);
        let nonce = value.split('"').nth(3).unwrap();
        assert_eq!(genuine(&secret, source("192.0.2.7"), nonce), Some((17, "0a0b")));
        assert_eq!(genuine(&secret, source("::ffff:192.0.2.7"), nonce), Some((17, "0a0b")));
        assert_eq!(genuine(&secret, source("192.0.2.8"), nonce), None);
        assert_eq!(genuine(&Secret::new([4; 64]), source("192.0.2.7"), nonce), None);
        for (from, to) in [("00000011", "00000012"), ("00000011", "+0000011"), ("0a0b", "0a0c"), ("0a0b", "")]
        {
            assert!(nonce.contains(from));
            assert_eq!(genuine(&secret, source("192.0.2.7"), &nonce.replacen(from, to, 1)), None);
        }
        for nonce in ["", "0", "00000000", "é0000000", &"0".repeat(39), &"0".repeat(40), &"é".repeat(40)] {
            assert_eq!(genuine(&secret, source("192.0.2.7"), nonce), None);
        }
    }
}
