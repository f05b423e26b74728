//! Who gets in, and what strangers cost (reliability S3–S5, S7).
//!
//! ```text
//!   bytes ─► peek ──► gateways ──► sources ────► parsed ────► challenge ───► the user agent server
//!            begins   whose        budgets        once         who is it?
//!            or not   network      per source                  401
//!                       │            │ over: dropped on UDP, 503 once on a stream
//!                       │ nobody's: dropped, or 403 within what all strangers may
//! ```
//!
//! Everything here is a value that is given the time; the decisions are carried out in `admission.rs`.

mod bucket;
mod challenge;
mod gateways;
mod peek;
mod secret;
mod sources;

use std::net::IpAddr;
use std::time::Instant;

use challenge::Challenges;
pub(crate) use challenge::{Check, Doubt};
pub(crate) use gateways::Gateways;
pub(crate) use peek::Peek;
use secret::Secret;
pub(crate) use sources::Kind;
use sources::{Source, Sources};

use crate::config::Config;
use crate::message::{Message, Name};

/// Which budget had no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Over {
    /// That of the source; `tell` where it is the first time since it had a request taken.
    Source { tell: bool },
    /// That of all strangers.
    Strangers,
}

/// What is known of all who send.
pub(crate) struct Policy {
    pub(crate) gateways: Gateways,
    /// Those in the networks of gateways; apart from the others, who so cannot use up their places.
    trusted: Sources,
    strangers: Sources,
    all_strangers: Source,
    secret: Secret,
    challenges: Challenges,
}

impl Policy {
    pub(crate) fn new(config: &Config, key: [u8; 64]) -> Self {
        Self {
            gateways: Gateways::of(&config.gateways),
            trusted: Sources::default(),
            strangers: Sources::default(),
            all_strangers: Source::default(),
            secret: Secret::new(key),
            challenges: Challenges::default(),
        }
    }

    /// Our tag in the response to a request of which nothing is kept: another one for each request, the same for its
    /// retransmissions (RFC 3261 §8.2.7).
    pub(crate) fn stateless_tag(&self, request: &Message) -> String {
        let names = [Name::Via, Name::From, Name::CallId, Name::CSeq];
        let field = |name| request.raw_values(name).next().unwrap_or_default();
        let mut tag = self.secret.seal(&names.map(field));
        tag.truncate(16);
        tag
    }

    /// Whether a request shows who it is from; else the tag and the challenges of the 401 to it.
    pub(crate) fn check(
        &mut self,
        now: Instant,
        check: &Check<'_>,
        request: &Message,
    ) -> Result<(), (Doubt, String, [String; 2])> {
        let Err(doubt) = self.challenges.check(&self.secret, now, check, request) else { return Ok(()) };
        let tag = self.stateless_tag(request);
        let challenges = self.challenges.ask(&self.secret, now, check, &tag, doubt.is_stale());
        Err((doubt, tag, challenges))
    }

    /// Takes one message from the budgets of its source.
    pub(crate) fn take(
        &mut self,
        config: &Config,
        now: Instant,
        address: IpAddr,
        kind: Kind,
    ) -> Result<(), Over> {
        let is_stranger = self.gateways.find(address).is_none();
        let sources = if is_stranger { &mut self.strangers } else { &mut self.trusted };
        let source = sources.of(now, address);
        if !source.take(now, kind, config.source_rate) {
            return Err(Over::Source { tell: kind == Kind::Outside && !is_stranger && source.tell() });
        }
        // Last, so that one loud stranger does not use up what is there for all.
        if is_stranger && !self.all_strangers.take(now, kind, config.stranger_rate) {
            return Err(Over::Strangers);
        }
        Ok(())
    }
}
