//! A dialog and the requests of ours inside it, with the BYE that ends them (RFC 3261 §12.2.1, §15.1).

use std::time::Instant;

use super::ack::Ack;
use super::change::Change;
use super::lane::{Done, Errand, Lane, Purpose, Sender};
use super::refer::Refer;
use super::referred::Referred;
use super::refresh::{Asking, Refresh};
use crate::core::{Core, Request};
use crate::dialog::Dialog;
use crate::event::{
    Body, CommandError, EndCause, Event, Header, InDialog, QueryId, Reason, RequestId, Target,
};
use crate::message::{Message, reason_header};
use crate::transaction::TransactionId;
use crate::uas::Refusal;

/// The status of a request whose call ended before its answer came.
const CALL_ENDED: u16 = 487;

/// A dialog and our requests inside it.
pub(crate) struct Leg {
    pub(crate) dialog: Dialog,
    pub(super) requests: Lane,
    /// The transfer that we ask for.
    refer: Refer,
    /// The transfer that the peer asks for.
    referred: Referred,
    stage: Stage,
    pub(super) change: Change,
    pub(super) refresh: Refresh,
    /// The ACK of our last re-INVITE, and whose it is.
    pub(super) ack: Option<(TransactionId, Ack)>,
}

/// How far the dialog is from its end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Nobody hangs up.
    Open,
    /// We hang up: the BYE is the last request.
    Closing,
}

/// What an answer to a request of ours, or the want of one of the peer, means for the call.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It goes on.
    Stays,
    /// The peer does not know it any more, or is gone.
    Lost,
    /// Nobody has refreshed it.
    Expired,
    /// The 2xx of a re-INVITE was not acknowledged.
    NoAck,
}

impl Fate {
    /// Why the call ends, if it does.
    pub(crate) fn cause(self) -> Option<EndCause> {
        match self {
            Self::Stays => None,
            Self::Lost => Some(EndCause::Lost),
            Self::Expired => Some(EndCause::Expired),
            Self::NoAck => Some(EndCause::NoAck),
        }
    }
}

impl Leg {
    pub(super) fn new(dialog: Dialog, asking: Asking) -> Self {
        Self {
            dialog,
            requests: Lane::default(),
            refer: Refer::Idle,
            referred: Referred::default(),
            stage: Stage::Open,
            change: Change::default(),
            refresh: Refresh::new(asking),
            ack: None,
        }
    }

    /// Hangs up. The BYE waits for no other request, and none comes after it.
    pub(crate) fn hang_up(&mut self, sender: &mut Sender<'_>, reason: Option<&Reason>) {
        if self.stage == Stage::Open {
            self.abandon(sender);
            self.stage = Stage::Closing;
            let headers = reason.map(reason_header).into_iter().collect();
            self.requests.push(Errand::new(Purpose::Bye, "BYE", headers, None));
            self.advance(sender);
        }
    }

    /// Sends a request of the application.
    pub(crate) fn request(
        &mut self,
        sender: &mut Sender<'_>,
        id: RequestId,
        method: InDialog,
        body: Body,
    ) -> Result<(), CommandError> {
        let method = match method {
            InDialog::Info => "INFO",
            InDialog::Message => "MESSAGE",
        };
        self.check_room()?;
        self.requests.push(Errand::new(Purpose::Request(id), method, Vec::new(), Some(body)));
        self.advance(sender);
        Ok(())
    }

    /// Asks the peer to call this URI.
    pub(crate) fn refer(&mut self, sender: &mut Sender<'_>, to: &str) -> Result<(), CommandError> {
        // While a REFER is on its way the last word about it may have come already.
        if !self.refer.is_idle() || self.requests.has(Purpose::Refer) {
            return Err(CommandError::WrongState);
        }
        self.check_room()?;
        self.requests.push(self.refer.ask(&self.dialog, to));
        self.advance(sender);
        Ok(())
    }

    /// Answers the peer's REFER.
    pub(crate) fn answer_refer(&mut self, sender: &mut Sender<'_>, status: u16) -> Result<(), CommandError> {
        self.check_room()?;
        let notify = self.referred.answer(sender, status)?;
        self.notify(sender, notify);
        Ok(())
    }

    /// Tells the peer how the call goes that it asked for.
    pub(crate) fn refer_status(&mut self, sender: &mut Sender<'_>, status: u16) -> Result<(), CommandError> {
        self.check_room()?;
        let notify = self.referred.status(sender, status)?;
        self.notify(sender, notify);
        Ok(())
    }

    /// A NOTIFY of the peer: how it is refused, if it is.
    pub(crate) fn on_notify(
        &mut self,
        sender: &mut Sender<'_>,
        notify: &Message,
    ) -> Result<(), Refusal<'static>> {
        self.refer.on_notify(sender, notify)
    }

    /// A REFER of the peer: how it is refused, if it is.
    pub(crate) fn on_refer(
        &mut self,
        sender: &mut Sender<'_>,
        refer: &Request,
    ) -> Result<(), Refusal<'static>> {
        self.referred.on_refer(sender, refer)
    }

    fn check_room(&self) -> Result<(), CommandError> {
        if self.requests.has_room() { Ok(()) } else { Err(CommandError::Full) }
    }

    fn notify(&mut self, sender: &mut Sender<'_>, notify: Option<Errand>) {
        if let Some(notify) = notify {
            self.requests.push(notify);
            self.advance(sender);
        }
    }

    /// Acknowledges a reliable provisional response.
    pub(super) fn prack(&mut self, sender: &mut Sender<'_>, rack: String) {
        let headers = vec![Header { name: "RAck".to_owned(), value: rack }];
        self.requests.push(Errand::new(Purpose::Prack, "PRACK", headers, None));
        self.advance(sender);
    }

    /// Sends what waits, if it is known where to.
    pub(crate) fn advance(&mut self, sender: &mut Sender<'_>) {
        if let Some((_, ack)) = &mut self.ack {
            ack.advance(&mut self.dialog, sender);
        }
        self.requests.advance(&mut self.dialog, sender);
    }

    /// A response to a request of this leg (`None`: none came, and `otherwise` says why). Whoever wanted the request is
    /// told.
    pub(crate) fn on_response(
        &mut self,
        sender: &mut Sender<'_>,
        transaction: TransactionId,
        response: Option<&Message>,
        otherwise: u16,
    ) -> Fate {
        if let Some((_, ack)) = self.ack.as_ref().filter(|(invite, _)| *invite == transaction) {
            ack.again(sender.core);
            return Fate::Stays;
        }
        let Self { dialog, requests, .. } = self;
        let Some(done) = requests.on_response(dialog, sender, transaction, response, otherwise) else {
            return Fate::Stays;
        };
        self.settle(sender, &done);
        if done.is_lost() {
            return Fate::Lost;
        }
        self.advance(sender);
        Fate::Stays
    }

    fn settle(&mut self, sender: &mut Sender<'_>, done: &Done<'_>) {
        match done.purpose {
            Purpose::Bye | Purpose::Prack => {}
            Purpose::Refresh if done.is_lost() => {}
            Purpose::Refresh => self.refreshed(sender, done),
            Purpose::Request(request) => {
                let Done { status, .. } = *done;
                sender.core.tell(Event::Replied { session: sender.session, request, status });
            }
            Purpose::Refer => self.refer.on_answer(sender, done),
            Purpose::Notify(id) if !(200..300).contains(&done.status) => {
                self.referred.on_refused(id);
                self.requests.forget(done.purpose);
            }
            Purpose::Notify(_) => {}
        }
    }

    /// The call is hung up, by whichever side: whoever still waits for an answer is told that none comes.
    pub(crate) fn abandon(&mut self, sender: &mut Sender<'_>) {
        self.close_changes(sender.core, sender.now);
        for purpose in self.requests.clear(sender.core) {
            if let Purpose::Request(request) = purpose {
                let session = sender.session;
                sender.core.tell(Event::Replied { session, request, status: CALL_ENDED });
            }
        }
        self.refer.abandon(sender);
        self.referred.abandon(sender);
    }

    /// When something is due: an answer of the name service, a repeated 2xx, a refresh.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let Self { dialog, refer, referred, change, refresh, .. } = self;
        let transfers = [refer.deadline(), referred.deadline()];
        let own = [dialog.deadline(), change.deadline(), refresh.deadline()];
        own.into_iter().chain(transfers).flatten().min()
    }

    /// Does what is due. Says what that means for the call.
    pub(crate) fn on_deadline(&mut self, sender: &mut Sender<'_>) -> Fate {
        self.dialog.on_deadline(sender.core, sender.now);
        self.refer.on_deadline(sender);
        let notify = self.referred.on_deadline(sender);
        self.notify(sender, notify);
        self.advance(sender);
        self.on_change_deadline(sender)
    }

    /// Takes the answer of the name service; says whether it was for this leg.
    pub(crate) fn on_resolved(&mut self, core: &Core, query: QueryId, targets: &[Target]) -> bool {
        self.dialog.on_resolved(core, query, targets)
    }

    /// Whether we have hung up: the session is over, whatever the peer still sends (§15.1.1).
    pub(crate) fn is_closing(&self) -> bool {
        self.stage == Stage::Closing
    }

    /// Whether a BYE still waits for an address.
    pub(crate) fn is_waiting(&self) -> bool {
        self.stage == Stage::Closing && self.requests.is_waiting()
    }

    /// Whether the BYE has come to rest: answered, or nobody answers.
    pub(crate) fn is_done(&self) -> bool {
        self.stage == Stage::Closing && self.requests.is_empty()
    }
}
