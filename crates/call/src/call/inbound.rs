//! Initiated: an inbound call that waits for an application to act on it. It rings from its first moment; what else the
//! caller hears before the answer is [`early`](super::early).

use std::sync::Arc;
use std::time::{Duration, Instant};

use offhook_media::event::{Codec, Prompt};
use offhook_media::sdp::{self, Negotiated, SdpError};
use offhook_sip::event::{self as sip, Header, Incoming, SessionId};

use crate::Port;
use crate::action::Pending;
use crate::call::answering::{Agreement, Answering};
use crate::call::beside::Beside;
use crate::call::early::{Early, EarlyLeg};
use crate::call::ended::Ended;
use crate::call::{Call, Core, Input, Phase, Step, is_due, pass_over, refuse, sdp_body, warning};
use crate::cause::{Ending, TurnedAway};
use crate::command::{Command, Content};
use crate::disk::{DiskEvent, DiskJob, PromptFault};
use crate::error::{Direction, Error};
use crate::event::EventKind;
use crate::gate::RETRY_AFTER;
use crate::id::{CallId, RequestId};
use crate::node::Context;
use crate::output::Reply;
use crate::state::State;

/// The provisional response to a caller that makes a tone of its own (RFC 3261 §21.1.2).
const RINGING: u16 = 180;
/// And to one that hears something of ours (§21.1.5).
const SESSION_PROGRESS: u16 = 183;

/// An inbound call that is not answered.
#[derive(Debug)]
pub(crate) struct Inbound {
    /// Its ports, taken before it rings: a call that is rung can be answered (reliability E2).
    port: Port,
    /// The far end's offer; without one the answer will make ours (RFC 3261 §13.2.1).
    offer: Option<Vec<u8>>,
    /// The URI it asked for.
    request_uri: String,
    /// When it is too long that no application acts.
    until: Option<Instant>,
    /// The file that is wanted from the disk.
    loading: Option<Pending>,
    /// What the caller hears.
    early: Option<Box<Early>>,
    /// The last provisional response.
    rung: u16,
}

/// A new inbound call, or none where there are no ports left or its offer cannot be used, and it has been refused. The far end hears it ring from
/// now on: an application is being told.
pub(crate) fn receive(id: CallId, cx: &mut Context<'_>, incoming: Incoming) -> Option<Call> {
    let session = incoming.session;
    let mut core = Core {
        id,
        direction: Direction::Inbound,
        session,
        from_uri: incoming.from,
        from_name: Some(incoming.from_display).filter(|name| !name.is_empty()),
        to_uri: incoming.to,
        begin: cx.now.wall,
        began: cx.now.mono,
        user_data: None,
        sip_call_id: Some(incoming.call_id),
        reason: None,
        gateway: Some(incoming.gateway.clone()),
        held: Vec::new(),
        recordings: Vec::new(),
        beside: Beside::default(),
    };
    let Ok(port) = cx.lease_port() else {
        turn_away(cx, session, TurnedAway::Ports, Vec::new());
        return None;
    };
    let mut codecs = Vec::new();
    let mut offer = None;
    if let Some(body) = incoming.body {
        match judge(&core, cx, port, &body.bytes) {
            Ok(names) => codecs = names,
            Err(error) => {
                cx.return_port(port);
                turn_away(cx, session, TurnedAway::NotAcceptable, vec![warning(&error)]);
                return None;
            }
        }
        offer = Some(body.bytes);
    }
    cx.sip(sip::Command::Progress { session, status: RINGING, body: None });
    let (from_uri, from_name, to_uri) = (core.from_uri.clone(), core.from_name.clone(), core.to_uri.clone());
    core.hold(cx, vec![incoming.gateway.clone()]);
    let (begin, gateway, headers) = (core.begin, incoming.gateway, incoming.headers);
    core.tell(cx, EventKind::Incoming { from_uri, from_name, to_uri, begin, codecs, gateway, headers });
    let until = cx.deadline(cx.node.config.incoming_timeout);
    let request_uri = incoming.request_uri;
    let (loading, early, rung) = (None, None, RINGING);
    let phase = Phase::Inbound(Inbound { port, offer, request_uri, until, loading, early, rung });
    Some(Call::begin(core, cx, phase))
}

/// Whether an offer could be answered at all, and the names of its codecs.
fn judge(core: &Core, cx: &Context<'_>, port: Port, offer: &[u8]) -> Result<Vec<String>, SdpError> {
    sdp::answer(offer, &core.local_media(cx, port, &[]))?;
    sdp::offered(offer)
}

/// Refuses an INVITE of which no call is made; what is for want of room with the time to come back.
pub(crate) fn turn_away(cx: &mut Context<'_>, session: SessionId, why: TurnedAway, mut headers: Vec<Header>) {
    let status = why.status();
    if status == 503 {
        headers.push(retry_after());
    }
    cx.sip(sip::Command::Reject { session, status, headers });
    cx.turned_away(session, why);
}

fn retry_after() -> Header {
    Header { name: "Retry-After".to_owned(), value: RETRY_AFTER.as_secs().to_string() }
}

impl Inbound {
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.until.into_iter().chain(self.loading.as_ref().and_then(Pending::deadline)).min()
    }

    pub(crate) fn port(&self) -> Port {
        self.port
    }

    pub(crate) fn leg(&self) -> Option<&EarlyLeg> {
        self.early.as_deref().map(Early::leg)
    }

    pub(crate) fn leg_mut(&mut self) -> Option<&mut EarlyLeg> {
        self.early.as_deref_mut().map(Early::leg_mut)
    }

    pub(crate) fn handle(mut self, core: &mut Core, cx: &mut Context<'_>, input: Input) -> Step {
        let (id, command) = match input {
            Input::Request { id, command } => (id, command),
            Input::Due if is_due(self.until, cx) => return self.end(core, cx, Ending::Unattended),
            other => {
                self.hear(core, cx, other);
                return Step::to(Phase::Inbound(self));
            }
        };
        let ending = match command {
            Command::Answer { max_answer, user_data, codec, .. } => {
                return self.answer(core, cx, id, (max_answer, user_data, codec));
            }
            Command::Ring { content, .. } => {
                self.ring(core, cx, id, content);
                return Step::to(Phase::Inbound(self));
            }
            Command::Reject { cause, .. } => Ending::Drop { cause },
            Command::Redirect { target, .. } => Ending::Redirected { contact: self.contact(&target) },
            command => {
                pass_over(cx, Input::Request { id, command });
                return Step::to(Phase::Inbound(self));
            }
        };
        let step = self.end(core, cx, ending);
        cx.reply(id, Ok(Reply::Done));
        step
    }

    /// What ends nothing.
    fn hear(&mut self, core: &Core, cx: &mut Context<'_>, input: Input) {
        match input {
            Input::Sip(sip::Event::Offer { body, .. }) => match &mut self.early {
                Some(early) => early.offered(core, cx, body.as_ref()),
                // Its first offer is not answered yet (RFC 3311 §5.2).
                None => cx.sip(refuse(core.session, 500, None)),
            },
            Input::Disk(DiskEvent::Prompts { job, result }) => {
                if let Some(pending) = self.loading.take_if(|pending| pending.job == job) {
                    self.loaded(core, cx, pending, result);
                }
            }
            Input::Due => {
                if let Some(pending) = self.loading.take_if(|pending| pending.is_late(cx)) {
                    pending.give_up(cx);
                }
            }
            other => pass_over(cx, other),
        }
    }

    /// `ring`: at once without a file, and when the disk has it with one. What it was asked before counts no more.
    fn ring(&mut self, core: &Core, cx: &mut Context<'_>, id: RequestId, content: Option<Content>) {
        let Some(content) = content else {
            self.replaced(cx);
            if let Some(early) = &mut self.early {
                early.stop(core, cx);
            }
            self.progress(core, cx, RINGING);
            return cx.reply(id, Ok(Reply::Done));
        };
        let codec = match &self.early {
            Some(early) => Ok(early.leg().media.codec),
            None => self.early_media(core, cx).map(|(_, (_, media))| media.codec),
        };
        match codec {
            Ok(codec) => {
                self.replaced(cx);
                let question = DiskJob::LoadPrompts { sources: content.sources, codec };
                self.loading = Some(Pending::ask(core, cx, id, "ring_play_file", |_| question));
            }
            Err(error) => cx.reply(id, Err(error)),
        }
    }

    /// A `ring` that waits for its file has had its turn: the one after it replaces what it would have played.
    fn replaced(&mut self, cx: &mut Context<'_>) {
        if let Some(pending) = self.loading.take() {
            pending.stop(cx, Reply::Done);
        }
    }

    /// The file is there, or is not to be had. Only now the caller is told to listen.
    fn loaded(
        &mut self,
        core: &Core,
        cx: &mut Context<'_>,
        pending: Pending,
        result: Result<Vec<Arc<Prompt>>, PromptFault>,
    ) {
        let prompts = match result {
            Ok(prompts) => prompts,
            Err(fault) => return pending.fail(cx, fault.into()),
        };
        let mut early = match self.early.take() {
            Some(early) => early,
            None => match self.early_media(core, cx) {
                Ok((sdp, agreed)) => Box::new(Early::begin(core, cx, self.port, agreed, sdp)),
                Err(error) => return pending.fail(cx, error),
            },
        };
        early.play(core, cx, prompts);
        self.early = Some(early);
        self.progress(core, cx, SESSION_PROGRESS);
        pending.accept(cx, Reply::Done);
    }

    /// Tells the caller, unless that is what it was told last. The application has acted, so its time starts anew.
    fn progress(&mut self, core: &Core, cx: &mut Context<'_>, status: u16) {
        if self.rung != status {
            let body = self.early.as_ref().filter(|_| status == SESSION_PROGRESS).map(|early| early.answer());
            cx.sip(sip::Command::Progress { session: core.session, status, body });
            self.rung = status;
        }
        self.until = cx.deadline(cx.node.config.incoming_timeout);
    }

    /// Our answer in a provisional response. A caller that offers nothing would have to be offered something, which only
    /// a reliable response may do and `answer` does (RFC 3262 §5).
    fn early_media(
        &self,
        core: &Core,
        cx: &Context<'_>,
    ) -> Result<(String, (sdp::Session, Negotiated)), Error> {
        match self.agree(core, cx, None)? {
            (sdp, Agreement::Settled(session, media)) => Ok((sdp, (session, *media))),
            _ => {
                let message = "the caller offers nothing before the answer".to_owned();
                Err(Error::NotNegotiated { message })
            }
        }
    }

    /// `answer`. What a 183 has said is said again.
    fn answer(
        mut self,
        core: &mut Core,
        cx: &mut Context<'_>,
        id: RequestId,
        (max_answer, user_data, codec): (Duration, Option<String>, Option<Codec>),
    ) -> Step {
        let (body, mut agreement) = match self.early.take() {
            Some(early) if codec.is_none_or(|codec| codec == early.leg().media.codec) => {
                (early.answer(), Agreement::Early(early))
            }
            Some(early) => {
                let message = format!("{} is what the caller hears already", early.leg().media.codec.name());
                cx.reply(id, Err(Error::NotNegotiated { message }));
                self.early = Some(early);
                return Step::to(Phase::Inbound(self));
            }
            None => match self.agree(core, cx, codec) {
                Ok((sdp, agreement)) => (sdp_body(sdp), agreement),
                Err(error) => {
                    cx.reply(id, Err(error));
                    return Step::to(Phase::Inbound(self));
                }
            },
        };
        core.user_data = user_data;
        if let Some(pending) = self.loading.take() {
            cx.forget_job(pending.job);
            let (state, allowed) = (State::Answer, &[State::Initiated]);
            pending.fail(cx, Error::InvalidState { call: core.id, state, allowed });
        }
        cx.sip(sip::Command::Answer { session: core.session, body });
        if let Agreement::Early(early) = &mut agreement {
            early.stop(core, cx);
        }
        let answering = Answering::new(self.port, id, cx.now.wall, max_answer, agreement);
        Step::to(Phase::Answering(answering))
    }

    /// The description and the meaning of an answer. The offer was good when it came, so only the codec that is asked
    /// for can be wrong; the call can be answered again otherwise.
    fn agree(
        &self,
        core: &Core,
        cx: &Context<'_>,
        codec: Option<Codec>,
    ) -> Result<(String, Agreement), Error> {
        let local = core.local_media(cx, self.port, codec.as_slice());
        let mut session = sdp::Session::new(local);
        let Some(offer) = &self.offer else {
            return Ok((session.offer(), Agreement::Offered(session)));
        };
        match session.answer(offer) {
            Ok((sdp, media)) => Ok((sdp, Agreement::Settled(session, Box::new(media)))),
            Err(_) => {
                let names = sdp::offered(offer).unwrap_or_default();
                Err(Error::NotNegotiated { message: format!("the caller offers {}", names.join(", ")) })
            }
        }
    }

    /// The Contact that sends the caller elsewhere, to the same user.
    fn contact(&self, target: &str) -> String {
        let rest = self.request_uri.split_once(':').map_or(self.request_uri.as_str(), |(_, rest)| rest);
        match rest.split_once('@') {
            Some((user, _)) => format!("<sip:{}@{target}>", user.split(':').next().unwrap_or(user)),
            None => format!("<sip:{target}>"),
        }
    }

    pub(crate) fn end(self, core: &Core, cx: &mut Context<'_>, ending: Ending) -> Step {
        if ending.farewell().is_some() {
            let headers = match &ending {
                Ending::Redirected { contact } => {
                    vec![Header { name: "Contact".to_owned(), value: contact.clone() }]
                }
                Ending::Shutdown => vec![retry_after()],
                _ => Vec::new(),
            };
            let status = ending.cause(None).status;
            cx.sip(sip::Command::Reject { session: core.session, status, headers });
        }
        if let Some(pending) = self.loading {
            pending.overtake(core, cx);
        }
        let mut ended = Ended::unanswered(cx, &ending, Some(self.port), None);
        if let Some(early) = &self.early {
            ended = ended.after(core, cx, early.leg(), &ending);
        }
        Step::to(Phase::Ended(ended))
    }
}
