//! The BYE of a call that an earlier run of the process had (RFC 3261 §15.1.1): one request, whose answer changes nothing.
//! Whoever does not know the call any more says 481, and whoever is gone nothing.

use std::time::Instant;

use super::asking::{Asking, Form, Means, Outcome};
use crate::core::Core;
use crate::event::{QueryId, Target};
use crate::message::{Draft, Message};
use crate::resolve::Destination;
use crate::transaction::{AgentId, TransactionId};

/// One BYE on its way.
pub(crate) struct Farewell {
    id: AgentId,
    asking: Asking,
    is_over: bool,
}

impl Farewell {
    /// Sends it.
    pub(crate) fn start(
        core: &mut Core,
        now: Instant,
        id: AgentId,
        draft: Draft,
        destination: Destination,
    ) -> Self {
        let mut means = Means { core, now, id, authenticator: None };
        let (asking, outcome) = Asking::start(&mut means, draft, Form::Plain, destination);
        Self { id, asking, is_over: outcome.is_some() }
    }

    pub(crate) fn on_resolved(&mut self, core: &mut Core, now: Instant, query: QueryId, targets: &[Target]) {
        self.with(core, now, |asking, means| asking.on_resolved(means, query, targets).is_some());
    }

    pub(crate) fn on_response(
        &mut self,
        core: &mut Core,
        now: Instant,
        transaction: TransactionId,
        response: Option<&Message>,
        otherwise: u16,
    ) {
        self.with(core, now, |asking, means| {
            let outcome: Option<Outcome<'_>> = asking.on_response(means, transaction, response, otherwise);
            outcome.is_some()
        });
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.asking.deadline()
    }

    pub(crate) fn on_deadline(&mut self, core: &mut Core, now: Instant) {
        self.with(core, now, |asking, means| asking.on_deadline(means).is_some());
    }

    pub(crate) fn is_over(&self) -> bool {
        self.is_over
    }

    fn with(
        &mut self,
        core: &mut Core,
        now: Instant,
        input: impl FnOnce(&mut Asking, &mut Means<'_>) -> bool,
    ) {
        let mut means = Means { core, now, id: self.id, authenticator: None };
        self.is_over |= input(&mut self.asking, &mut means);
    }
}
