//! What a message meets before it is parsed (reliability S3): a look, and a budget. See `policy` for the values behind it.

use std::time::Instant;

use crate::Endpoint;
use crate::config::Strangers;
use crate::core::Request;
use crate::event::{Credentials, Flow};
use crate::message::{Head, Message, Response};
use crate::policy::{Check, Doubt, Kind, Over, Peek};
use crate::transaction::ServerKey;
use crate::uas::{RETRY_AFTER, Refusal};

impl Endpoint {
    /// Whether a message is worth its parsing.
    pub(crate) fn admits(&mut self, now: Instant, flow: Flow, bytes: &[u8]) -> bool {
        let peek = Peek::of(bytes);
        let kind = peek.kind();
        let drops = self.core.config.strangers == Strangers::Drop;
        if drops && kind == Kind::Outside && self.gateway_of(flow).is_none() {
            self.core.counters.untrusted += 1;
            return false;
        }
        let over = match self.core.policy.take(&self.core.config, now, flow.remote.ip(), kind) {
            Ok(()) => return true,
            Err(_) if self.is_live(&peek) => return true,
            Err(over) => over,
        };
        match over {
            Over::Source { .. } => self.core.counters.over_source += 1,
            Over::Strangers => self.core.counters.over_strangers += 1,
        }
        if over == (Over::Source { tell: true }) && flow.transport.is_reliable() && peek.wants_answer() {
            self.refuse_overload(flow, bytes);
        }
        false
    }

    /// Whether a message carries what only a partner in something live can know: the branch of a request that we wait
    /// for the answer of, or that we serve; the Call-ID and our tag of a dialog.
    fn is_live(&self, peek: &Peek<'_>) -> bool {
        let transactions = &self.core.transactions;
        let serves = || {
            let (via, method) = peek.transaction()?;
            let branch = via.branch()?.to_owned();
            Some(transactions.serves(&ServerKey::Branch {
                branch,
                sent_by: via.sent_by,
                method: method.to_vec(),
            }))
        };
        peek.answered().is_some_and(|(branch, method)| transactions.awaits(&branch, method))
            || peek.dialog().is_some_and(|dialog| self.dialogs.contains_key(&dialog))
            || serves().unwrap_or(false)
    }

    /// Whether a request shows that it is from who knows these; else it has been answered 401, and nothing is kept of it:
    /// it is not even repeated (reliability S4, S5).
    pub(crate) fn authenticates(
        &mut self,
        now: Instant,
        request: &Request,
        credentials: &Credentials,
    ) -> bool {
        let Request { message, flow, .. } = request;
        let core = &mut self.core;
        let realm = core.realm(*flow);
        let check = Check { credentials, realm: &realm, source: flow.remote.ip() };
        let Err((doubt, tag, challenges)) = core.policy.check(now, &check, message) else { return true };
        match doubt {
            Doubt::Absent => core.counters.challenged += 1,
            Doubt::Wrong => core.counters.wrong_credentials += 1,
            Doubt::Stale | Doubt::Replayed => core.counters.stale_credentials += 1,
        }
        let headers = challenges.map(|challenge| ("WWW-Authenticate", challenge));
        let response = Response { status: 401, to_tag: &tag, headers: &headers, ..Response::default() };
        core.respond_stateless(message, *flow, request.reply_flow(), &response);
        false
    }

    /// 503 to a request that was not taken, and nothing is kept of it.
    fn refuse_overload(&mut self, flow: Flow, bytes: &[u8]) {
        let Ok(message) = Message::parse(bytes) else { return };
        let Ok(head) = Head::of(&message) else { return };
        let refusal = Refusal::with(503, "Retry-After", RETRY_AFTER);
        self.refuse_stateless(&message, flow, head.via.reply_flow(flow), refusal);
    }
}
