//! The dialogs of a call that we make (RFC 3261 §12.1.2, §13.2.2.4): one for each tag that answers our INVITE, early with
//! its first provisional response. The first 2xx is the call; every other one is acknowledged and hung up.

use std::time::Instant;

use super::ack::Ack;
use super::change::Standing;
use super::fork::Fork;
use super::leg::Leg;
use super::outbound::{Outbound, State, sender};
use crate::core::{Core, Request};
use crate::event::{Body, CommandError, EndCause, Event, Header};
use crate::message::{Head, Message, Response};
use crate::transaction::TransactionId;

/// How many dialogs one INVITE may fork into. A proxy that rings more phones than this at once loses the early ones
/// first; a 2xx beyond it is not acknowledged, and its sender hangs up by itself.
const MAX_FORKS: usize = 16;

impl Outbound {
    /// A provisional response: told once, and acknowledged where it is reliable (RFC 3262 §4).
    pub(super) fn on_provisional(&mut self, core: &mut Core, now: Instant, message: &Message, head: &Head) {
        let status = message.status().unwrap_or_default();
        match &mut self.state {
            State::Calling { invite } => {
                self.state = State::Proceeding { invite: *invite, timer_c: now + core.timers().c };
            }
            State::Proceeding { timer_c, .. } if status > 100 => *timer_c = now + core.timers().c,
            State::CancelQueued { invite, reason } => {
                let (invite, reason) = (*invite, reason.clone());
                self.send_cancel(core, now, invite, reason.as_ref(), EndCause::Local);
            }
            _ => {}
        }
        if status == 100 || !matches!(self.state, State::Proceeding { .. }) {
            return;
        }
        // One early dialog per To tag.
        let tag = head.to.tag();
        let known = tag.is_empty() || self.forks.iter().any(|fork| fork.has_tag(tag));
        if !known
            && self.forks.len() < MAX_FORKS
            && let Some(dialog) = self.dialog_of(message)
        {
            self.forks.push(Fork::early(dialog, self.asking, self.invite.body.clone()));
        }
        let mut sender = sender(core, now, self.id, &mut self.authenticator);
        let is_news = match self.forks.iter_mut().find(|fork| fork.has_tag(tag) && !tag.is_empty()) {
            Some(fork) => fork.on_provisional(&mut sender, message, head.cseq),
            None => message.rseq().is_none(),
        };
        if is_news {
            core.tell(Event::Provisional { session: self.id, status, body: message.body() });
        }
    }

    /// A 2xx (§13.2.2.4): the first one is the call; each other dialog is acknowledged and hung up; a repeated one is
    /// acknowledged again.
    pub(super) fn on_accepted(&mut self, core: &mut Core, now: Instant, message: &Message, head: &Head) {
        let tag = head.to.tag();
        if let Some(fork) = self.forks.iter_mut().find(|fork| fork.has_tag(tag) && !fork.is_early()) {
            fork.acknowledge_again(core);
            return;
        }
        let Some(dialog) = self.dialog_of(message) else { return };
        let early = self.forks.iter().position(|fork| fork.has_tag(tag));
        if early.is_none() && self.forks.len() == MAX_FORKS {
            let Some(victim) = self.forks.iter().find(|fork| fork.is_early()) else { return };
            let victim = victim.leg.dialog.remote_tag.clone();
            self.forget_forks(core, now, |fork| !fork.has_tag(&victim));
        }
        // What an early dialog has come to goes on: its numbers, its requests, its descriptions.
        let mut fork = match early {
            Some(early) => {
                let mut fork = self.forks.remove(early);
                fork.leg.dialog.confirm(core, dialog);
                fork
            }
            None => Fork::early(dialog, self.asking, self.invite.body.clone()),
        };
        let ack = Ack::new(head.cseq, self.credentials.clone());
        let timeout = core.timers().timeout();
        self.linger.get_or_insert(now + timeout);
        let hang_up = match self.state {
            State::Calling { .. } | State::Proceeding { .. } => {
                self.state = State::Answered;
                fork.keep(ack);
                false
            }
            State::CancelQueued { .. } => {
                self.state = State::HangingUp(EndCause::Local);
                fork.keep(ack);
                true
            }
            State::Cancelling { ref cause, .. } => {
                self.state = State::HangingUp(cause.clone());
                fork.keep(ack);
                true
            }
            State::Resolving { .. } | State::Answered | State::HangingUp(_) | State::Over => {
                fork.drop_it(ack);
                true
            }
        };
        let mut sender = sender(core, now, self.id, &mut self.authenticator);
        fork.advance(&mut sender);
        if hang_up {
            fork.leg.hang_up(&mut sender, None);
        } else {
            fork.on_answer(now, message);
            let also_rang = self.forks.iter().filter_map(Fork::ringing).map(str::to_owned).collect();
            core.tell(Event::Answered { session: self.id, body: message.body(), also_rang });
            for early in &mut self.forks {
                early.leg.close_changes(core, now);
            }
        }
        self.forks.push(fork);
        self.rest(core, now);
    }

    /// The peer hangs up a dialog of ours; its BYE has been answered.
    pub(crate) fn on_bye(&mut self, core: &mut Core, now: Instant, remote_tag: &str, reason: Option<String>) {
        if let Some((leg, mut sender)) = self.talking(core, now)
            && leg.dialog.remote_tag == remote_tag
        {
            leg.abandon(&mut sender);
            return self.end(core, now, EndCause::Bye { reason });
        }
        match self.state {
            State::Calling { invite } | State::Proceeding { invite, .. } => {
                // Every 2xx of this peer was lost, and it has given up on our ACK. Another branch may still ring.
                self.forget_forks(core, now, |fork| !fork.has_tag(remote_tag));
                if self.forks.is_empty() {
                    core.transactions.abandon_invite(invite);
                    self.end(core, now, EndCause::Bye { reason });
                }
            }
            // The two BYEs crossed, or a dialog that we drop is dropped by its peer too.
            _ => {}
        }
    }

    /// The dialog with the peer of this tag.
    pub(crate) fn leg(&mut self, remote_tag: &str) -> Option<&mut Leg> {
        if matches!(self.state, State::Over) {
            return None;
        }
        self.forks.iter_mut().find(|fork| fork.has_tag(remote_tag)).map(|fork| &mut fork.leg)
    }

    /// A re-INVITE or an UPDATE in one of the dialogs.
    pub(crate) fn on_change(&mut self, core: &mut Core, now: Instant, request: &Request) {
        let tag = request.head.from.tag();
        let asked = self.forks.iter().any(|fork| fork.leg.is_asked() && !fork.has_tag(tag));
        let standing = match (&self.state, self.forks.iter().find(|fork| fork.has_tag(tag))) {
            // The application answers one offer at a time.
            (_, Some(_)) if asked => Some(Standing { early: false, invite: Some(500), offer: Some(500) }),
            (State::Answered, Some(fork)) if fork.is_kept() => Some(Standing::default()),
            // Our offer is not answered by anything unreliable (RFC 3311 §5.2).
            (State::Calling { .. } | State::Proceeding { .. }, Some(fork)) => {
                let offer = (!fork.has_answer).then_some(491);
                Some(Standing { early: true, invite: Some(491), offer })
            }
            _ => None,
        };
        let fork = self.forks.iter_mut().find(|fork| fork.has_tag(tag));
        match (standing, fork) {
            (Some(standing), Some(fork)) => fork.leg.on_change(core, now, self.id, request, standing),
            _ => core.answer(now, request, &Response { status: 481, ..Response::default() }),
        }
    }

    /// Answers an offer of the peer.
    pub(crate) fn accept(&mut self, core: &mut Core, now: Instant, body: &Body) -> Result<(), CommandError> {
        self.asking_fork()?.leg.accept(core, now, body)
    }

    /// Refuses an offer of the peer.
    pub(crate) fn refuse_offer(
        &mut self,
        core: &mut Core,
        now: Instant,
        status: u16,
        headers: &[Header],
    ) -> Result<(), CommandError> {
        self.asking_fork()?.leg.refuse(core, now, status, headers)
    }

    /// The fork whose peer has made an offer.
    fn asking_fork(&mut self) -> Result<&mut Fork, CommandError> {
        self.forks.iter_mut().find(|fork| fork.leg.is_asked()).ok_or(CommandError::WrongState)
    }

    /// The ACK of our 2xx to a re-INVITE. Says whether it was one.
    pub(crate) fn on_ack(&mut self, core: &mut Core, head: &Head, ack: &Message) -> bool {
        let fork = self.forks.iter_mut().find(|fork| fork.has_tag(head.from.tag()));
        fork.is_some_and(|fork| fork.leg.on_ack(core, self.id, head, ack))
    }

    /// The peer cancels its re-INVITE.
    pub(crate) fn on_cancel(&mut self, core: &mut Core, now: Instant, transaction: TransactionId) {
        for fork in &mut self.forks {
            fork.leg.on_cancel(core, now, transaction);
        }
    }

    /// Forgets all but some of the dialogs, and what they have asked and been asked.
    pub(super) fn forget_forks(&mut self, core: &mut Core, now: Instant, keep: impl Fn(&Fork) -> bool) {
        for fork in self.forks.iter_mut().filter(|fork| !keep(fork)) {
            fork.leg.close_changes(core, now);
            fork.leg.dialog.forget_query(core);
        }
        self.forks.retain(keep);
    }
}
