//! Initiated: an inbound call that waits for an application to act on it, or an outbound call that is being dialled.

use std::time::{Duration, Instant};

use offhook_media::event::Codec;
use offhook_media::sdp::{self, Negotiated, SdpError};
use offhook_sip::event::{self as sip, Header, Incoming, SessionId};

use crate::Port;
use crate::call::answering::{Agreement, Answering};
use crate::call::beside::Beside;
use crate::call::ended::Ended;
use crate::call::idle::Idle;
use crate::call::{Call, Core, Input, Phase, Step, Talk, is_due, pass_over, sdp_body, sdp_of};
use crate::cause::Ending;
use crate::command::{Command, Construct};
use crate::error::{Direction, Error};
use crate::event::{EventKind, Span};
use crate::gate::{RETRY_AFTER, Refusal};
use crate::gateway::{Plan, Way};
use crate::id::{CallId, RequestId};
use crate::node::Context;
use crate::output::Reply;

/// How long the far end may take an INVITE without ringing or deciding. Where nothing at all is heard SIP gives up after
/// 32 s; a 100 stops that clock and starts none (RFC 3261 §17.1.1.2), so this one ends the call, after the time a proxy
/// gives it (§16.6, timer C).
pub(crate) const RINGS_WITHIN: Duration = Duration::from_secs(180);

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
        to_uri: incoming.to,
        begin: cx.now.wall,
        user_data: None,
        sip_call_id: Some(incoming.call_id),
        reason: None,
        gateway: Some(incoming.gateway.clone()),
        held: Vec::new(),
        beside: Beside::default(),
    };
    let Ok(port) = cx.lease_port() else {
        turn_away(cx, session);
        return None;
    };
    let mut codecs = Vec::new();
    let mut offer = None;
    if let Some(body) = incoming.body {
        match judge(&core, cx, port, &body.bytes) {
            Ok(names) => codecs = names,
            Err(error) => {
                cx.return_port(port);
                let (status, warning) = refusal(&error);
                cx.sip(sip::Command::Reject { session, status, headers: vec![warning] });
                return None;
            }
        }
        offer = Some(body.bytes);
    }
    cx.sip(sip::Command::Progress { session, status: 180, body: None });
    let (from_uri, to_uri) = (core.from_uri.clone(), core.to_uri.clone());
    core.hold(cx, vec![incoming.gateway.clone()]);
    let (begin, gateway, headers) = (core.begin, incoming.gateway, incoming.headers);
    core.tell(cx, EventKind::Incoming { from_uri, to_uri, begin, codecs, gateway, headers });
    let until = cx.deadline(cx.node.config.incoming_timeout);
    let phase = Phase::Inbound(Inbound { port, offer, request_uri: incoming.request_uri, until });
    Some(Call::begin(core, cx, phase))
}

/// Whether an offer could be answered at all, and the names of its codecs.
fn judge(core: &Core, cx: &Context<'_>, port: Port, offer: &[u8]) -> Result<Vec<String>, SdpError> {
    sdp::answer(offer, &core.local_media(cx, port, &[]))?;
    sdp::offered(offer)
}

/// The final response to an INVITE whose offer cannot be used, and the Warning that says why (RFC 3261 §20.43).
fn refusal(error: &SdpError) -> (u16, Header) {
    let (status, code, text) = match error {
        SdpError::Malformed(reason) => (400, 399, format!("Bad session description: {reason}")),
        SdpError::NoAudio => {
            (488, 304, "Media type not available: no audio over RTP/AVP is offered".to_owned())
        }
        SdpError::NoCommonCodec => {
            (488, 305, "Incompatible media format: none of the codecs is ours".to_owned())
        }
        SdpError::BadAddress => {
            let text = "Incompatible network address formats: not a unicast address of our family";
            (488, 301, text.to_owned())
        }
    };
    (status, Header { name: "Warning".to_owned(), value: format!("{code} offhook \"{text}\"") })
}

/// Refuses an INVITE for want of room.
pub(crate) fn turn_away(cx: &mut Context<'_>, session: SessionId) {
    cx.sip(sip::Command::Reject { session, status: 503, headers: vec![retry_after()] });
}

fn retry_after() -> Header {
    Header { name: "Retry-After".to_owned(), value: RETRY_AFTER.as_secs().to_string() }
}

impl Inbound {
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.until
    }

    pub(crate) fn port(&self) -> Port {
        self.port
    }

    pub(crate) fn handle(self, core: &mut Core, cx: &mut Context<'_>, input: Input) -> Step {
        let (id, command) = match input {
            Input::Request { id, command } => (id, command),
            Input::Sip(sip::Event::Offer { .. }) => {
                // Its first offer is not answered yet (RFC 3311 §5.2).
                cx.sip(sip::Command::Refuse { session: core.session, status: 500 });
                return Step::to(Phase::Inbound(self));
            }
            Input::Due if is_due(self.until, cx) => return self.end(core, cx, Ending::Unattended),
            other => {
                pass_over(cx, other);
                return Step::to(Phase::Inbound(self));
            }
        };
        let ending = match command {
            Command::Answer { max_answer, user_data, codec, .. } => match self.agree(core, cx, codec) {
                Ok((sdp, agreement)) => {
                    core.user_data = user_data;
                    cx.sip(sip::Command::Answer { session: core.session, body: sdp_body(sdp) });
                    let answering = Answering::new(self.port, id, cx.now.wall, max_answer, agreement);
                    return Step::to(Phase::Answering(answering));
                }
                Err(error) => {
                    cx.reply(id, Err(error));
                    return Step::to(Phase::Inbound(self));
                }
            },
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
            Ok((sdp, media)) => Ok((sdp, Agreement::Settled(session, media))),
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
        Step::to(Phase::Ended(Ended::unanswered(cx, &ending, Some(self.port), None)))
    }
}

/// An outbound call that is not answered.
#[derive(Debug)]
pub(crate) struct Dialling {
    port: Port,
    session: sdp::Session,
    max_answer: Duration,
    max_ring: Duration,
    /// What each route of its INVITE is.
    ways: Vec<Way>,
    early: Early,
    progress: Progress,
}

/// What was agreed on before the 200, for one that brings no answer (RFC 3261 §13.2.1). One that does counts for more.
#[derive(Debug)]
enum Early {
    /// Nothing.
    Nothing,
    /// A provisional response brought an answer.
    Answer(Vec<u8>),
    /// And an UPDATE has changed it since. Where the 200 repeats that first answer it is no news.
    Changed { first: Vec<u8>, media: Negotiated },
}

/// How far the far end has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    /// It does not ring.
    Calling { until: Option<Instant> },
    /// It rings.
    Ringing { until: Option<Instant> },
}

/// How an outbound call goes; why it cannot, where it cannot.
pub(crate) fn plan(cx: &Context<'_>, construct: &Construct) -> Result<Plan, Error> {
    let Construct { to_uris, proxy, credentials, .. } = construct;
    cx.node.gateways.plan(cx.now.mono, to_uris, proxy.as_ref(), credentials.as_ref())
}

/// A new outbound call, its INVITE on the way.
pub(crate) fn dial(
    id: CallId,
    cx: &mut Context<'_>,
    request: RequestId,
    port: Port,
    construct: Construct,
    plan: Plan,
) -> Call {
    let session = SessionId::Outbound(id.0);
    let mut core = Core {
        id,
        direction: Direction::Outbound,
        session,
        from_uri: construct.from_uri,
        to_uri: String::new(),
        begin: cx.now.wall,
        user_data: construct.user_data,
        sip_call_id: None,
        reason: None,
        gateway: None,
        held: Vec::new(),
        beside: Beside::default(),
    };
    core.hold(cx, plan.gateways());
    go(&mut core, cx, &plan.ways, 0);
    let mut description = sdp::Session::new(core.local_media(cx, port, &construct.codecs));
    cx.sip(sip::Command::Invite(Box::new(sip::Invite {
        session,
        from: core.from_uri.clone(),
        routes: plan.routes,
        redirect_hosts: plan.redirect_hosts,
        headers: construct.headers,
        body: sdp_body(description.offer()),
    })));
    cx.reply(request, Ok(Reply::Constructed { call: id, user_data: core.user_data.clone() }));
    let phase = Phase::Dialling(Dialling {
        port,
        session: description,
        max_answer: construct.max_answer,
        max_ring: construct.max_ring,
        ways: plan.ways,
        early: Early::Nothing,
        progress: Progress::Calling { until: cx.deadline(RINGS_WITHIN) },
    });
    Call::begin(core, cx, phase)
}

/// The call takes one of its ways, and leaves the gateways where it will not come again.
fn go(core: &mut Core, cx: &mut Context<'_>, ways: &[Way], route: usize) {
    let Some(way) = ways.get(route) else { return };
    core.to_uri.clone_from(&way.uri);
    if let Some(gateway) = way.gateway.as_ref().filter(|&gateway| core.gateway.as_ref() != Some(gateway)) {
        cx.node.gateways.begin(cx.now.mono, gateway);
    }
    core.gateway.clone_from(&way.gateway);
    let to_come: Vec<_> = ways[route..].iter().filter_map(|way| way.gateway.clone()).collect();
    core.leave_all_but(cx, &to_come);
}

/// Why there is no room for an outbound call.
pub(crate) fn no_room(cx: &Context<'_>, refusal: Refusal) -> Error {
    let config = &cx.node.config;
    match refusal {
        Refusal::Draining => Error::ShuttingDown,
        Refusal::Calls => Error::LimitReached { limit: "calls", value: config.max_calls as u64 },
        Refusal::Rate => {
            Error::LimitReached { limit: "calls_per_second", value: config.max_calls_per_second.into() }
        }
    }
}

impl Dialling {
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match self.progress {
            Progress::Calling { until } | Progress::Ringing { until } => until,
        }
    }

    pub(crate) fn port(&self) -> Port {
        self.port
    }

    pub(crate) fn handle(mut self, core: &mut Core, cx: &mut Context<'_>, input: Input) -> Step {
        match input {
            Input::Sip(sip::Event::Sent { call_id, route, .. }) => {
                core.sip_call_id = Some(call_id);
                go(core, cx, &self.ways, route);
            }
            Input::Sip(sip::Event::Provisional { status, body, .. }) => self.hear(core, cx, status, body),
            Input::Sip(sip::Event::Answered { body, .. }) => return self.answered(core, cx, body),
            Input::Sip(sip::Event::Offer { body, .. }) => self.offered(core, cx, body.as_ref()),
            Input::Due if is_due(self.deadline(), cx) => {
                let ending = match self.progress {
                    Progress::Calling { .. } => Ending::NoRinging,
                    Progress::Ringing { .. } => Ending::RingTimeout,
                };
                return self.end(core, cx, ending);
            }
            other => pass_over(cx, other),
        }
        Step::to(Phase::Dialling(self))
    }

    /// A provisional response. Only 180 and 183 ring; the clock runs from the first.
    fn hear(&mut self, core: &Core, cx: &mut Context<'_>, status: u16, body: Option<sip::Body>) {
        if let (Some(answer), Early::Nothing | Early::Answer(_)) = (sdp_of(body.as_ref()), &self.early) {
            self.early = Early::Answer(answer.to_vec());
        }
        if matches!(self.progress, Progress::Calling { .. }) && matches!(status, 180 | 183) {
            core.tell(cx, EventKind::Ringing { time: cx.now.wall });
            self.progress = Progress::Ringing { until: cx.deadline(self.max_ring) };
        }
    }

    /// An UPDATE before the 200 (RFC 3311 §5.2): our offer must have been answered, else theirs has to wait.
    fn offered(&mut self, core: &Core, cx: &mut Context<'_>, body: Option<&sip::Body>) {
        let (session, offer) = (core.session, sdp_of(body));
        let first = match &self.early {
            Early::Nothing => return cx.sip(sip::Command::Refuse { session, status: 491 }),
            Early::Answer(first) if self.session.accept(first).is_err() => None,
            Early::Answer(first) | Early::Changed { first, .. } => Some(first.clone()),
        };
        match first.zip(offer).map(|(first, offer)| (first, self.session.answer(offer))) {
            Some((first, Ok((text, media)))) => {
                cx.sip(sip::Command::Accept { session, body: sdp_body(text) });
                self.early = Early::Changed { first, media };
            }
            Some((_, Err(_))) | None => cx.sip(sip::Command::Refuse { session, status: 488 }),
        }
    }

    fn answered(mut self, core: &mut Core, cx: &mut Context<'_>, body: Option<sip::Body>) -> Step {
        let stays: Vec<_> = core.gateway.iter().cloned().collect();
        core.leave_all_but(cx, &stays);
        let media = match (sdp_of(body.as_ref()), std::mem::replace(&mut self.early, Early::Nothing)) {
            (None, Early::Nothing) => None,
            (None, Early::Changed { media, .. }) => Some(media),
            (Some(answer), Early::Changed { first, media }) if answer == first => Some(media),
            (Some(answer), _) => self.session.accept(answer).ok(),
            (None, Early::Answer(answer)) => self.session.accept(&answer).ok(),
        };
        let Some(media) = media else {
            let reason = Ending::NotNegotiated.farewell();
            cx.sip(sip::Command::Bye { session: core.session, reason });
            return self.over(core, cx, &Ending::NotNegotiated);
        };
        let talk = Talk::begin(core, cx, self.port, (self.session, media), self.max_answer);
        let now = cx.now.wall;
        Step::to(Phase::Idle(Idle::new(talk, cx))).telling(EventKind::DialCompleted {
            error: None,
            span: Span { begin: core.begin, end: now },
            answer_time: Some(now),
        })
    }

    pub(crate) fn end(self, core: &Core, cx: &mut Context<'_>, ending: Ending) -> Step {
        if let Some(reason) = ending.farewell() {
            cx.sip(sip::Command::Cancel { session: core.session, reason: Some(reason) });
        }
        self.over(core, cx, &ending)
    }

    fn over(self, core: &Core, cx: &Context<'_>, ending: &Ending) -> Step {
        let completion = EventKind::DialCompleted {
            error: Some(ending.not_answered()),
            span: Span { begin: core.begin, end: cx.now.wall },
            answer_time: None,
        };
        Step::to(Phase::Ended(Ended::unanswered(cx, ending, Some(self.port), Some(completion))))
    }
}
