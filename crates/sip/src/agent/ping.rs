//! Whether a gateway is there: OPTIONS again and again (RFC 3261 §11).
//!
//! ```text
//!   OPTIONS ─► any response but 408 and 503: up   ─┐
//!      ▲       408, 503, silence twice:     down  ─┤ told at first and when it changes
//!      └──────────── interval ─────────────────────┘
//! ```

use std::time::{Duration, Instant};

use super::asking::{Asking, Form, Means, Outcome};
use crate::core::Core;
use crate::event::{Event, Ping, QueryId, Target};
use crate::message::{Draft, Message};
use crate::resolve::Destination;
use crate::transaction::{AgentId, TransactionId};

/// How many answers in a row have to be missing before a gateway is down. One is lost now and then; each has been asked
/// for seven times over UDP, so two are no accident.
const MISSES: u8 = 2;
/// The shortest interval, whatever is asked for: faster would be a flood.
const SHORTEST: Duration = Duration::from_secs(1);

/// One gateway that is asked.
pub(crate) struct Pinger {
    id: AgentId,
    ping: Ping,
    destination: Destination,
    /// What was told last.
    told: Option<bool>,
    /// Answers missing in a row.
    missed: u8,
    state: State,
}

enum State {
    Asking(Box<Asking>),
    Waiting { until: Instant },
}

impl Pinger {
    /// Asks for the first time. The command has been checked.
    pub(crate) fn start(
        core: &mut Core,
        now: Instant,
        id: AgentId,
        ping: Ping,
        destination: Destination,
    ) -> Self {
        let state = State::Waiting { until: now };
        let mut pinger = Self { id, ping, destination, told: None, missed: 0, state };
        pinger.ask(core, now);
        pinger
    }

    pub(crate) fn on_resolved(&mut self, core: &mut Core, now: Instant, query: QueryId, targets: &[Target]) {
        let outcome = self.with(core, now, |asking, means| asking.on_resolved(means, query, targets));
        self.judge(core, now, outcome);
    }

    pub(crate) fn on_response(
        &mut self,
        core: &mut Core,
        now: Instant,
        transaction: TransactionId,
        response: Option<&Message>,
        otherwise: u16,
    ) {
        let outcome =
            self.with(core, now, |asking, means| asking.on_response(means, transaction, response, otherwise));
        self.judge(core, now, outcome);
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Asking(asking) => asking.deadline(),
            State::Waiting { until } => Some(*until),
        }
    }

    pub(crate) fn on_deadline(&mut self, core: &mut Core, now: Instant) {
        match self.state {
            State::Waiting { until } if until <= now => self.ask(core, now),
            State::Waiting { .. } => {}
            State::Asking(_) => {
                let outcome = self.with(core, now, |asking, means| asking.on_deadline(means));
                self.judge(core, now, outcome);
            }
        }
    }

    /// The gateway is not asked any more.
    pub(crate) fn abandon(&mut self, core: &mut Core) {
        if let State::Asking(asking) = &mut self.state {
            asking.abandon(core);
        }
    }

    /// Whether a question is under way.
    pub(crate) fn is_busy(&self) -> bool {
        matches!(self.state, State::Asking(_))
    }

    /// A ping has no credentials: whoever asks for them is there.
    fn with<'m>(
        &mut self,
        core: &mut Core,
        now: Instant,
        input: impl FnOnce(&mut Asking, &mut Means<'_>) -> Option<Outcome<'m>>,
    ) -> Option<Outcome<'m>> {
        let State::Asking(asking) = &mut self.state else { return None };
        input(asking, &mut Means { core, now, id: self.id, authenticator: None })
    }

    fn ask(&mut self, core: &mut Core, now: Instant) {
        let to = &self.ping.route.to;
        let draft = Draft {
            method: "OPTIONS",
            uri: to.clone(),
            routes: Vec::new(),
            from: Vec::new(),
            to: format!("<{to}>").into_bytes(),
            call_id: core.random.call_id(),
            cseq: 1,
            headers: Vec::new(),
            body: None,
        };
        let form = Form::Ours { tag: core.random.token() };
        let mut means = Means { core, now, id: self.id, authenticator: None };
        let (asking, outcome) = Asking::start(&mut means, draft, form, self.destination.clone());
        self.state = State::Asking(Box::new(asking));
        self.judge(core, now, outcome);
    }

    fn judge(&mut self, core: &mut Core, now: Instant, outcome: Option<Outcome<'_>>) {
        let Some(Outcome { status, .. }) = outcome else { return };
        self.state = State::Waiting { until: now + self.ping.interval.max(SHORTEST) };
        let up = !matches!(status, 408 | 503);
        self.missed = if up { 0 } else { self.missed.saturating_add(1) };
        if (up || self.missed >= MISSES) && self.told != Some(up) {
            self.told = Some(up);
            core.tell(Event::Gateway { gateway: self.ping.gateway.clone(), up, status });
        }
    }
}
