//! What goes on beside the state of an answered call, whatever it is doing: a transfer that was asked of the far end, one
//! that the far end asks for, messages either way, and what is listened for by `detect_start`. None of it changes what the
//! far end hears, so none of it is an action: a call that is being transferred stays Idle, and the application may play to
//! the far end, which would hear silence otherwise until the other call is answered; and a machine is best told from a
//! person while something is being played to it.

use std::time::Instant;

use offhook_media::event::{self as media, Kinds};
use offhook_sip::event::{self as sip, InDialog};

use crate::admit::Referral;
use crate::call::{Core, Input, is_due};
use crate::cause::Failure;
use crate::command::Command;
use crate::error::Error;
use crate::event::{EventKind, Message, Span, UnixMs};
use crate::id::{MessageId, RequestId};
use crate::node::Context;
use crate::output::Reply;

/// Messages of one call that wait for their answers: a burst of typing. Each takes the wire 32 s at most.
const MESSAGES_WAITING: usize = 16;

/// The final response to a transfer that nobody decides on.
const DECLINE: u16 = 603;

/// The final response to a transfer that is asked for while another one is under way.
const REQUEST_PENDING: u16 = 491;

/// What goes on beside the state of a call.
#[derive(Debug, Default)]
pub(crate) struct Beside {
    /// When the transfer was asked for that the far end has not decided on.
    transfer: Option<UnixMs>,
    referral: Referral,
    /// When the far end's wish is declined because no application acts.
    referral_until: Option<Instant>,
    messages: Vec<(sip::RequestId, MessageId)>,
    detection: Option<Detection>,
}

/// What is listened for.
#[derive(Debug)]
struct Detection {
    kinds: Kinds,
    begin: UnixMs,
    until: Option<Instant>,
}

impl Beside {
    pub(crate) fn transferring(&self) -> bool {
        self.transfer.is_some()
    }

    pub(crate) fn referral(&self) -> Referral {
        self.referral
    }

    pub(crate) fn detecting(&self) -> bool {
        self.detection.is_some()
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        let detection = self.detection.as_ref().and_then(|detection| detection.until);
        self.referral_until.into_iter().chain(detection).min()
    }

    fn set_referral(&mut self, referral: Referral, until: Option<Instant>) {
        (self.referral, self.referral_until) = (referral, until);
    }
}

/// Takes what is meant for it, and leaves the rest to the call's state.
pub(crate) fn handle(core: &mut Core, cx: &mut Context<'_>, talking: bool, input: Input) -> Option<Input> {
    match input {
        Input::Request { id, command } => {
            let command = request(core, cx, id, command)?;
            return Some(Input::Request { id, command });
        }
        Input::Sip(sip::Event::Transfer { status, .. }) => transferred(core, cx, status),
        Input::Sip(sip::Event::Referred { to, referred_by, .. }) => {
            referred(core, cx, talking, to, referred_by)
        }
        Input::Sip(sip::Event::Message(message)) => {
            let sip::IncomingMessage { from, to, body, .. } = *message;
            core.tell(cx, EventKind::Message(Message { from_uri: from, to_uri: to, body }));
        }
        Input::Sip(sip::Event::Replied { request, status, .. }) if core.beside.waits_for(request) => {
            replied(core, cx, request, status);
        }
        Input::Media(media::Event::Detected { detected, .. }) => {
            // One that was on its way when its detection ended is told no more.
            if core.beside.detection.as_ref().is_some_and(|asked| asked.kinds.contains(detected.kind())) {
                core.tell(cx, EventKind::Detected(detected));
            }
        }
        Input::Due => {
            if is_due(core.beside.detection.as_ref().and_then(|detection| detection.until), cx) {
                listen_no_more(core, cx, Some(Failure::MaxSeconds));
            }
            if is_due(core.beside.referral_until, cx) {
                answer(core, cx, DECLINE, Referral::None);
            }
            return Some(Input::Due);
        }
        input => return Some(input),
    }
    None
}

impl Beside {
    fn waits_for(&self, request: sip::RequestId) -> bool {
        self.messages.iter().any(|&(waiting, _)| waiting == request)
    }
}

fn request(core: &mut Core, cx: &mut Context<'_>, id: RequestId, command: Command) -> Option<Command> {
    match command {
        Command::Transfer { to_uri, .. } => match cx.node.gateways.target(cx.now.mono, &to_uri) {
            Ok(to) => {
                core.beside.transfer = Some(cx.now.wall);
                cx.sip(sip::Command::Refer { session: core.session, to });
            }
            Err(error) => {
                cx.reply(id, Err(error));
                return None;
            }
        },
        Command::TransferAccept { .. } => answer(core, cx, 202, Referral::Accepted),
        Command::TransferDecline { cause, .. } => answer(core, cx, cause, Referral::None),
        Command::TransferNotify { sip_status, .. } => {
            cx.sip(sip::Command::ReferStatus { session: core.session, status: sip_status });
            if sip_status >= 200 {
                core.beside.set_referral(Referral::None, None);
            }
        }
        Command::DetectStart { kinds, max, country, .. } => {
            let until = cx.deadline(max);
            core.beside.detection = Some(Detection { kinds, begin: cx.now.wall, until });
            cx.media(media::Command::Detect { leg: core.leg(), kinds, country });
        }
        Command::DetectStop { .. } => listen_no_more(core, cx, None),
        Command::SendMessage { body, .. } => {
            let reply = send(core, cx, body);
            cx.reply(id, reply);
            return None;
        }
        command => return Some(command),
    }
    cx.reply(id, Ok(Reply::Done));
    None
}

fn listen_no_more(core: &mut Core, cx: &mut Context<'_>, error: Option<Failure>) {
    let kinds = Kinds::default();
    cx.media(media::Command::Detect { leg: core.leg(), kinds, country: None });
    tell_of_detection(core, cx, error);
}

fn tell_of_detection(core: &mut Core, cx: &mut Context<'_>, error: Option<Failure>) {
    if let Some(Detection { begin, .. }) = core.beside.detection.take() {
        let span = Span { begin, end: cx.now.wall };
        core.tell(cx, EventKind::DetectCompleted { error, span });
    }
}

fn send(core: &mut Core, cx: &mut Context<'_>, body: sip::Body) -> Result<Reply, Error> {
    if core.beside.messages.len() >= MESSAGES_WAITING {
        return Err(Error::LimitReached { limit: "messages", value: MESSAGES_WAITING as u64 });
    }
    let (request, message) = (cx.new_request(), cx.new_message());
    core.beside.messages.push((request, message));
    cx.sip(sip::Command::Request { session: core.session, request, method: InDialog::Message, body });
    Ok(Reply::Message(message))
}

fn replied(core: &mut Core, cx: &mut Context<'_>, request: sip::RequestId, status: u16) {
    let Some(place) = core.beside.messages.iter().position(|&(waiting, _)| waiting == request) else {
        return;
    };
    let (_, message) = core.beside.messages.remove(place);
    let error = Failure::of_status(status);
    core.tell(cx, EventKind::MessageCompleted { message, error, sip_status: Some(status) });
}

/// How the call goes that the far end was asked for; only its end is told.
fn transferred(core: &mut Core, cx: &mut Context<'_>, status: u16) {
    if status < 200 {
        return;
    }
    let Some(begin) = core.beside.transfer.take() else { return };
    let (error, span) = (Failure::of_status(status), Span { begin, end: cx.now.wall });
    core.tell(cx, EventKind::TransferCompleted { error, span, sip_status: Some(status) });
}

fn referred(
    core: &mut Core,
    cx: &mut Context<'_>,
    talking: bool,
    to_uri: String,
    referred_by: Option<String>,
) {
    let refusal = match core.beside.referral {
        Referral::None if talking && cx.node.applications > 0 => None,
        Referral::None => Some(DECLINE),
        Referral::Offered | Referral::Accepted => Some(REQUEST_PENDING),
    };
    if let Some(status) = refusal {
        cx.sip(sip::Command::AnswerRefer { session: core.session, status });
        return;
    }
    let until = cx.deadline(cx.node.config.transfer_timeout);
    core.beside.set_referral(Referral::Offered, until);
    core.tell(cx, EventKind::TransferRequested { to_uri, referred_by });
}

fn answer(core: &mut Core, cx: &mut Context<'_>, status: u16, referral: Referral) {
    cx.sip(sip::Command::AnswerRefer { session: core.session, status });
    core.beside.set_referral(referral, None);
}

/// The call is over: what was asked for has come to nothing. What the far end asked for is owed nothing any more.
pub(crate) fn end(core: &mut Core, cx: &mut Context<'_>) {
    let error = Some(Failure::Hangup);
    tell_of_detection(core, cx, error);
    let Beside { transfer, messages, .. } = std::mem::take(&mut core.beside);
    if let Some(begin) = transfer {
        let span = Span { begin, end: cx.now.wall };
        core.tell(cx, EventKind::TransferCompleted { error, span, sip_status: None });
    }
    for (_, message) in messages {
        core.tell(cx, EventKind::MessageCompleted { message, error, sip_status: None });
    }
}
