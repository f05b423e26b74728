//! What a message meets before it is parsed (reliability S3): a look, and a budget. See `policy` for the values behind it.

use std::time::Instant;

use crate::Endpoint;
use crate::config::Strangers;
use crate::event::Flow;
use crate::message::{Head, Message};
use crate::policy::{Kind, Over, Peek};
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

    /// 503 to a request that was not taken, and nothing is kept of it.
    fn refuse_overload(&mut self, flow: Flow, bytes: &[u8]) {
        let Ok(message) = Message::parse(bytes) else { return };
        let Ok(head) = Head::of(&message) else { return };
        let refusal = Refusal::with(503, "Retry-After", RETRY_AFTER);
        self.refuse_stateless(&message, flow, head.via.reply_flow(flow), refusal);
    }
}
