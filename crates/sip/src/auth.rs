//! Digest authentication as a client (RFC 7616 with SHA-256 and MD5, RFC 2617 for servers without `qop`, RFC 8760 for
//! several challenges).
//!
//! ```text
//! INVITE ──► 401/407 with challenges ──► the strongest known one of each realm ──► INVITE with Authorization
//! ```
//!
//! Two rules keep a password from leaking (reliability S6): only the place that the INVITE was sent to is answered,
//! and a realm that refuses what it was just given is not tried again unless it says `stale`.

use std::net::IpAddr;

use crate::digest::{Algorithm, Digest, Fields, quote};
use crate::event::{Credentials, Flow, Header};
use crate::message::{Message, Name, unfold};

/// How many times one request is sent again because of challenges: one for each of two realms, and one stale nonce
/// each.
const MAX_ATTEMPTS: u8 = 4;
/// How many realms are answered in one request: a proxy or two, and the server.
const MAX_REALMS: usize = 4;

/// Who asks: the server (401) or a proxy (407).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asker {
    Server,
    Proxy,
}

/// One challenge that we can answer.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Challenge {
    asker: Asker,
    realm: String,
    nonce: String,
    opaque: Option<String>,
    stale: bool,
    algorithm: Algorithm,
    /// The name as the server wrote it; absent means MD5.
    algorithm_name: Option<String>,
    /// Whether `qop=auth` is offered; without any `qop` it is the digest of RFC 2069.
    qop_auth: bool,
}

impl Challenge {
    /// Reads one challenge; `None` for other schemes, unknown algorithms and a `qop` without `auth`.
    fn parse(asker: Asker, value: &[u8]) -> Option<Self> {
        let params = Fields::parse(value)?;
        let algorithm_name = params.get("algorithm").map(str::to_owned);
        let algorithm = Algorithm::of(algorithm_name.as_deref())?;
        let qop_auth = match params.get("qop") {
            None => false,
            Some(offered) if offered.split(',').any(|qop| qop.trim().eq_ignore_ascii_case("auth")) => true,
            Some(_) => return None,
        };
        Some(Self {
            asker,
            realm: params.get("realm")?.to_owned(),
            nonce: params.get("nonce")?.to_owned(),
            opaque: params.get("opaque").map(str::to_owned),
            stale: params.get("stale").is_some_and(|stale| stale.eq_ignore_ascii_case("true")),
            algorithm,
            algorithm_name,
            qop_auth,
        })
    }

    /// All challenges of a response that we can answer.
    fn all(response: &Message) -> Vec<Self> {
        [(Name::WwwAuthenticate, Asker::Server), (Name::ProxyAuthenticate, Asker::Proxy)]
            .into_iter()
            .flat_map(|(name, asker)| {
                response.raw_values(name).filter_map(move |value| Self::parse(asker, &unfold(value)))
            })
            .collect()
    }

    /// The value of Authorization or Proxy-Authorization.
    fn answer(&self, credentials: &Credentials, count: u32, cnonce: &str, method: &str, uri: &str) -> String {
        let Self { realm, nonce, algorithm, .. } = self;
        let nc = format!("{count:08x}");
        let auth = self.qop_auth.then_some((&*nc, cnonce));
        let response =
            Digest { algorithm: *algorithm, credentials, realm, nonce, method, uri, auth }.response();
        let mut value = format!(
            "Digest username={}, realm={}, nonce={}, uri={}, response=\"{response}\"",
            quote(&credentials.username),
            quote(realm),
            quote(nonce),
            quote(uri),
        );
        if let Some(name) = &self.algorithm_name {
            value.push_str(&format!(", algorithm={name}"));
        }
        if let Some(opaque) = &self.opaque {
            value.push_str(&format!(", opaque={}", quote(opaque)));
        }
        if self.qop_auth {
            value.push_str(&format!(", qop=auth, nc={nc}, cnonce={}", quote(cnonce)));
        }
        value
    }
}

/// One realm that has challenged us, and how often its nonce was used.
#[derive(Clone, Debug)]
struct Realm {
    challenge: Challenge,
    count: u32,
}

/// What one request has been through: it is sent again a few times at most, and a realm that refuses what it was just
/// given is not given it again.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tries {
    attempts: u8,
    answered: Vec<(Asker, String)>,
}

/// What answers the challenges to one session's requests.
#[derive(Clone, Debug)]
pub(crate) struct Authenticator {
    credentials: Credentials,
    /// Where the INVITE went: the only place whose challenges are answered.
    place: Option<IpAddr>,
    realms: Vec<Realm>,
}

impl Authenticator {
    pub(crate) fn new(credentials: Credentials) -> Self {
        Self { credentials, place: None, realms: Vec::new() }
    }

    /// The INVITE goes to this address.
    pub(crate) fn sent_to(&mut self, flow: Flow) {
        self.place = Some(flow.remote.ip());
    }

    /// Whether a flow leads to where the INVITE went.
    pub(crate) fn is_place_of(&self, flow: Flow) -> bool {
        self.place == Some(flow.remote.ip())
    }

    /// Takes the challenges of a 401 or 407 to a request that went by `flow`. Says whether sending it again, with
    /// [`headers`](Self::headers), has any hope.
    pub(crate) fn challenged(&mut self, tries: &mut Tries, flow: Flow, response: &Message) -> bool {
        let mut challenges = Challenge::all(response);
        // The strongest first, and of each realm only that one.
        challenges.sort_by_key(|challenge| std::cmp::Reverse(challenge.algorithm));
        let mut seen: Vec<(Asker, String)> = Vec::new();
        challenges.retain(|challenge| {
            let key = (challenge.asker, challenge.realm.clone());
            let new = !seen.contains(&key);
            seen.push(key);
            new
        });
        if challenges.is_empty() || tries.attempts == MAX_ATTEMPTS || !self.is_place_of(flow) {
            return false;
        }
        tries.attempts += 1;
        challenges.into_iter().all(|challenge| self.learn(tries, challenge))
    }

    /// Keeps a challenge; `false` where the realm has just refused what we know.
    fn learn(&mut self, tries: &mut Tries, challenge: Challenge) -> bool {
        let key = (challenge.asker, challenge.realm.clone());
        let same = |realm: &&mut Realm| realm.challenge.asker == key.0 && realm.challenge.realm == key.1;
        let answered = tries.answered.contains(&key);
        let room = self.realms.len() < MAX_REALMS;
        match self.realms.iter_mut().find(same) {
            Some(_) if answered && !challenge.stale => return false,
            Some(realm) => {
                let count = if realm.challenge.nonce == challenge.nonce { realm.count } else { 0 };
                *realm = Realm { challenge, count };
            }
            None if room => self.realms.push(Realm { challenge, count: 0 }),
            None => return false,
        }
        if !answered {
            tries.answered.push(key);
        }
        true
    }

    /// The credentials for a request that goes by `flow`, for every realm that has asked so far; `nc` grows with each
    /// use of a nonce.
    pub(crate) fn headers(&mut self, flow: Flow, method: &str, uri: &str, cnonce: &str) -> Vec<Header> {
        if !self.is_place_of(flow) {
            return Vec::new();
        }
        let credentials = &self.credentials;
        self.realms
            .iter_mut()
            .map(|realm| {
                realm.count = realm.count.saturating_add(1);
                let name = match realm.challenge.asker {
                    Asker::Server => "Authorization",
                    Asker::Proxy => "Proxy-Authorization",
                };
                let value = realm.challenge.answer(credentials, realm.count, cnonce, method, uri);
                Header { name: name.to_owned(), value }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Transport;

    fn challenge(params: &str) -> Challenge {
        Challenge::parse(Asker::Server, format!("Digest {params}").as_bytes()).unwrap()
    }

    /// The digest of a request in a published example.
    #[track_caller]
    fn check(params: &str, password: &str, cnonce: &str, response: &str) {
        let credentials = Credentials { username: "Mufasa".to_owned(), password: password.to_owned() };
        let answer = challenge(params).answer(&credentials, 1, cnonce, "GET", "/dir/index.html");
        assert!(answer.contains(&format!("response=\"{response}\"")), "{answer}");
    }

    #[test]
    fn published_vectors() {
        // RFC 2617 §3.5.
        check(
            r#"realm="testrealm@host.com", qop="auth,auth-int", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", opaque="5ccc""#,
            "Circle Of Life",
            "0a4f113b",
            "6629fae49393a05397450978507c4ef1",
        );
        // RFC 2069 §2.4, as its erratum 749 corrects it.
        check(
            r#"realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093""#,
            "CircleOfLife",
            "",
            "1949323746fe6a43ef61f9606e7febea",
        );
        // RFC 7616 §3.9.1.
        let params = |algorithm: &str| {
            let nonce = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v";
            format!(
                r#"realm="http-auth@example.org", qop="auth, auth-int", algorithm={algorithm}, nonce="{nonce}""#
            )
        };
        let cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
        check(&params("MD5"), "Circle of Life", cnonce, "8ca523f5e9506fed4657c9700eebdbec");
        let sha256 = "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1";
        check(&params("SHA-256"), "Circle of Life", cnonce, sha256);
    }

    #[test]
    fn what_cannot_be_answered() {
        for value in [
            "Basic realm=\"r\"",
            "Digest realm=\"r\"",
            "Digest nonce=\"n\"",
            "Digest realm=\"r\", nonce=\"n\", algorithm=SHA-512-256",
            "Digest realm=\"r\", nonce=\"n\", qop=\"auth-int\"",
            "Digest realm=\"r, nonce=\"n\"",
            "Digest",
        ] {
            assert_eq!(Challenge::parse(Asker::Server, value.as_bytes()), None, "{value}");
        }
    }

    #[test]
    fn the_parts_are_quoted() {
        let credentials = Credentials { username: "a\"b\\c".to_owned(), password: String::new() };
        let answer = challenge(r#"realm="r\"s", nonce="n""#).answer(&credentials, 1, "", "INVITE", "sip:a@b");
        assert!(answer.starts_with(r#"Digest username="a\"b\\c", realm="r\"s", nonce="n", uri="sip:a@b", "#));
    }

    fn challenges(fields: &str) -> Message {
        let text = format!("SIP/2.0 401 Unauthorized\r\n{fields}Content-Length: 0\r\n\r\n");
        Message::parse(text.as_bytes()).unwrap()
    }

    fn flow(remote: &str) -> Flow {
        let local = "198.51.100.1:5060".parse().unwrap();
        Flow { transport: Transport::Udp, local, remote: remote.parse().unwrap(), name: None }
    }

    #[test]
    fn each_realm_is_answered_once() {
        let place = flow("192.0.2.1:5060");
        let credentials = Credentials { username: "u".to_owned(), password: "p".to_owned() };
        let mut authenticator = Authenticator::new(credentials);
        authenticator.sent_to(place);
        let both = "WWW-Authenticate: Digest realm=\"a\", nonce=\"1\"\r\n\
                    Proxy-Authenticate: Digest realm=\"b\",\r\n nonce=\"1\"\r\n";
        let mut tries = Tries::default();
        assert!(authenticator.challenged(&mut tries, place, &challenges(both)));
        let names: Vec<_> = authenticator
            .headers(place, "BYE", "sip:a@b", "c")
            .into_iter()
            .map(|header| header.name)
            .collect();
        assert_eq!(names, ["Authorization", "Proxy-Authorization"]);
        assert_eq!(authenticator.headers(flow("192.0.2.2:5060"), "BYE", "sip:a@b", "c"), []);

        let again = "WWW-Authenticate: Digest realm=\"a\", nonce=\"2\"\r\n";
        assert!(
            !authenticator.clone().challenged(&mut tries.clone(), place, &challenges(again)),
            "the password is wrong"
        );
        let stale = "WWW-Authenticate: Digest realm=\"a\", nonce=\"2\", stale=true\r\n";
        assert!(!authenticator.clone().challenged(
            &mut tries.clone(),
            flow("192.0.2.2:5060"),
            &challenges(stale)
        ));
        assert!(authenticator.challenged(&mut tries, place, &challenges(stale)));
        let mut new_request = Tries::default();
        assert!(authenticator.challenged(&mut new_request, place, &challenges(again)));
    }
}
