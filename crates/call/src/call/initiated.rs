//! Initiated: an outbound call that is being dialled.

use std::time::{Duration, Instant};

use offhook_media::event as media;
use offhook_media::sdp::{self, Negotiated};
use offhook_sip::event::{self as sip, SessionId};

use crate::Port;
use crate::action::connect::Connect;
use crate::action::dialled;
use crate::action::notice::{FarEnd, News, Notice};
use crate::call::beside::Beside;
use crate::call::early::EarlyLeg;
use crate::call::ended::Ended;
use crate::call::idle::Idle;
use crate::call::{
    Call, Core, Input, Phase, Step, Talk, is_due, pass_over, refuse, refuse_description, sdp_body, sdp_of,
};
use crate::cause::{Ending, Unagreed};
use crate::command::Construct;
use crate::error::{Direction, Error};
use crate::event::{EventKind, Span};
use crate::gate::Refusal;
use crate::gateway::{Plan, Way};
use crate::id::{CallId, RequestId, Resource};
use crate::node::Context;
use crate::output::Reply;
use crate::state::State;

/// How long the far end may take an INVITE without ringing or deciding. Where nothing at all is heard SIP gives up after
/// 32 s; a 100 stops that clock and starts none (RFC 3261 §17.1.1.2), so this one ends the call, after the time a proxy
/// gives it (§16.6, timer C).
pub(crate) const RINGS_WITHIN: Duration = Duration::from_secs(180);

/// How long the far end may describe early media and send none of it until it counts as one that only rings: it is said by
/// many that will send nothing before the answer.
pub(crate) const HEARD_WITHIN: Duration = Duration::from_secs(2);

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
    listener: Listener,
    /// What is heard of the far end, where there is a listener.
    leg: Option<EarlyLeg>,
    hearing: Hearing,
}

/// Whether anything comes on its leg.
#[derive(Clone, Copy, Debug)]
enum Hearing {
    /// It may yet.
    Waiting { until: Option<Instant> },
    /// Nothing has.
    Nothing,
    /// Something has.
    Something,
}

/// Who hears a call that is not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Listener {
    Nobody,
    /// Whoever it is dialled for.
    Parent(Resource),
    /// A call that it is dialled for, and connected with already.
    Connected(CallId),
}

impl Listener {
    fn parent(self) -> Option<Resource> {
        match self {
            Self::Nobody => None,
            Self::Parent(parent) => Some(parent),
            Self::Connected(call) => Some(call.into()),
        }
    }

    /// Tells who listens, if anybody does.
    fn tell(self, core: &Core, cx: &mut Context<'_>, news: News) {
        if let Some(parent) = self.parent() {
            cx.tell_parent(parent, core.id, news);
        }
    }
}

/// What was agreed on before the 200, for one that brings no answer (RFC 3261 §13.2.1). One that does counts for more.
#[derive(Debug)]
enum Early {
    /// Nothing.
    Nothing,
    /// A provisional response brought an answer.
    Answer(Vec<u8>),
    /// And an UPDATE has changed it since. Where the 200 repeats that first answer it is no news.
    Changed { first: Vec<u8>, media: Box<Negotiated> },
}

/// How far the far end has come.
#[derive(Debug)]
enum Progress {
    /// It is not called yet: the call that it is dialled for hears an announcement first.
    Held { invite: Box<sip::Invite> },
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
        from_name: construct.from_name,
        to_uri: String::new(),
        begin: cx.now.wall,
        began: cx.now.mono,
        user_data: construct.user_data,
        sip_call_id: None,
        reason: None,
        gateway: None,
        held: Vec::new(),
        recordings: Vec::new(),
        beside: Beside::default(),
    };
    core.hold(cx, plan.gateways());
    go(&mut core, cx, &plan.ways, 0);
    let mut description = sdp::Session::new(core.local_media(cx, port, &construct.codecs));
    let invite = Box::new(sip::Invite {
        session,
        from: core.from_uri.clone(),
        from_display: core.from_name.clone().unwrap_or_default(),
        routes: plan.routes,
        redirect_hosts: plan.redirect_hosts,
        headers: construct.headers,
        body: sdp_body(description.offer()),
    });
    let progress = if dialled::waits(construct.parent.as_ref()) {
        Progress::Held { invite }
    } else {
        Progress::call(cx, invite)
    };
    cx.reply(request, Ok(Reply::Constructed { call: id, user_data: core.user_data.clone() }));
    let phase = Phase::Dialling(Dialling {
        port,
        session: description,
        max_answer: construct.max_answer,
        max_ring: construct.max_ring,
        ways: plan.ways,
        early: Early::Nothing,
        progress,
        listener: construct.parent.map_or(Listener::Nobody, |parent| Listener::Parent(parent.of)),
        leg: None,
        hearing: Hearing::Waiting { until: None },
    });
    Call::begin(core, cx, phase)
}

impl Progress {
    /// The far end is called.
    fn call(cx: &mut Context<'_>, invite: Box<sip::Invite>) -> Self {
        cx.sip(sip::Command::Invite(invite));
        Self::Calling { until: cx.deadline(RINGS_WITHIN) }
    }
}

/// The call takes one of its ways, and leaves the gateways where it will not come again.
fn go(core: &mut Core, cx: &mut Context<'_>, ways: &[Way], route: usize) {
    let Some(way) = ways.get(route) else { return };
    core.to_uri.clone_from(&way.uri);
    if let Some(gateway) = way.gateway().filter(|&gateway| core.gateway.as_ref() != Some(gateway)) {
        cx.node.gateways.begin(cx.now.mono, gateway);
    }
    core.gateway = way.gateway().cloned();
    let to_come: Vec<_> = ways[route..].iter().filter_map(|way| way.gateway().cloned()).collect();
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
        let heard = match self.hearing {
            Hearing::Waiting { until } => until,
            Hearing::Nothing | Hearing::Something => None,
        };
        self.patience().into_iter().chain(heard).min()
    }

    /// When it is given up.
    fn patience(&self) -> Option<Instant> {
        match self.progress {
            Progress::Held { .. } => None,
            Progress::Calling { until } | Progress::Ringing { until } => until,
        }
    }

    pub(crate) fn port(&self) -> Port {
        self.port
    }

    pub(crate) fn leg(&self) -> Option<&EarlyLeg> {
        self.leg.as_ref()
    }

    pub(crate) fn leg_mut(&mut self) -> Option<&mut EarlyLeg> {
        self.leg.as_mut()
    }

    /// What there is to hear of the far end.
    fn far_end(&self) -> FarEnd {
        match (&self.progress, &self.leg) {
            (Progress::Held { .. } | Progress::Calling { .. }, _) => FarEnd::Silent,
            (Progress::Ringing { .. }, Some(_)) if !matches!(self.hearing, Hearing::Nothing) => {
                FarEnd::Sounds
            }
            (Progress::Ringing { .. }, _) => FarEnd::Rings,
        }
    }

    /// Something has come, or nothing for long enough.
    fn listened(&mut self, core: &Core, cx: &mut Context<'_>) {
        let before = self.far_end();
        let has_come = self.leg.as_ref().is_some_and(|leg| leg.stats.packets_received > 0);
        self.hearing = match self.hearing {
            _ if has_come => Hearing::Something,
            Hearing::Waiting { until } if is_due(until, cx) => Hearing::Nothing,
            hearing => hearing,
        };
        self.report(core, cx, before);
    }

    /// Tells who listens of what there is to hear now.
    fn report(&self, core: &Core, cx: &mut Context<'_>, before: FarEnd) {
        if self.far_end() != before {
            self.listener.tell(core, cx, News::FarEnd(self.far_end()));
        }
    }

    pub(crate) fn handle(mut self, core: &mut Core, cx: &mut Context<'_>, input: Input) -> Step {
        match input {
            Input::Sip(sip::Event::Sent { call_id, route, .. }) => {
                core.sip_call_id = Some(call_id);
                go(core, cx, &self.ways, route);
            }
            Input::Sip(sip::Event::Unavailable { route, retry_after, .. }) => {
                // RFC 3261 §21.5.4: it is left in peace until then, wherever this call goes now.
                if let Some(address) = self.ways.get(route).and_then(|way| way.address.as_ref()) {
                    cx.node.gateways.rest(cx.now.mono, address, retry_after);
                }
            }
            Input::Sip(sip::Event::Provisional { status, body, .. }) => self.hear(core, cx, status, body),
            Input::Sip(sip::Event::Answered { body, also_rang, .. }) => {
                return self.answered(core, cx, body, also_rang);
            }
            Input::Sip(sip::Event::Offer { body, .. }) => self.offered(core, cx, body.as_ref()),
            Input::Due if is_due(self.patience(), cx) => {
                let ending = match self.progress {
                    Progress::Held { .. } | Progress::Calling { .. } => Ending::NoRinging,
                    Progress::Ringing { .. } => Ending::RingTimeout,
                };
                return self.end(core, cx, ending);
            }
            Input::Due | Input::Media(media::Event::Stats { .. }) => self.listened(core, cx),
            Input::Notice(Notice::Orphaned) => return self.end(core, cx, Ending::Orphaned),
            Input::Notice(Notice::Joined { first }) => self.listener = Listener::Connected(first),
            Input::Notice(Notice::Parted) => {
                self.listener = self.listener.parent().map_or(Listener::Nobody, Listener::Parent);
            }
            Input::Notice(Notice::Go) => {
                if let Progress::Held { invite } = self.progress {
                    self.progress = Progress::call(cx, invite);
                }
            }
            other => pass_over(cx, other),
        }
        Step::to(Phase::Dialling(self))
    }

    /// A provisional response. Only 180 and 183 ring; the clock runs from the first.
    fn hear(&mut self, core: &Core, cx: &mut Context<'_>, status: u16, body: Option<sip::Body>) {
        let before = self.far_end();
        if let (Some(answer), Early::Nothing | Early::Answer(_)) = (sdp_of(body.as_ref()), &self.early) {
            self.early = Early::Answer(answer.to_vec());
            // Of several far ends the first that lets be heard something is heard (reliability S13).
            if self.listener != Listener::Nobody
                && self.leg.is_none()
                && let Ok(media) = self.session.accept(answer)
            {
                self.leg = Some(EarlyLeg::begin(core, cx, self.port, media));
                self.hearing = Hearing::Waiting { until: cx.deadline(HEARD_WITHIN) };
            }
        }
        if matches!(self.progress, Progress::Calling { .. }) && matches!(status, 180 | 183) {
            core.tell(cx, EventKind::Ringing { time: cx.now.wall });
            self.progress = Progress::Ringing { until: cx.deadline(self.max_ring) };
        }
        self.report(core, cx, before);
    }

    /// An UPDATE before the 200 (RFC 3311 §5.2): our offer must have been answered, else theirs has to wait.
    fn offered(&mut self, core: &Core, cx: &mut Context<'_>, body: Option<&sip::Body>) {
        let (session, offer) = (core.session, sdp_of(body));
        let first = match &self.early {
            Early::Nothing => return cx.sip(refuse(session, 491, None)),
            Early::Answer(first) if self.session.accept(first).is_err() => None,
            Early::Answer(first) | Early::Changed { first, .. } => Some(first.clone()),
        };
        match first.zip(offer).map(|(first, offer)| (first, self.session.answer(offer))) {
            Some((first, Ok((text, media)))) => {
                cx.sip(sip::Command::Accept { session, body: sdp_body(text) });
                if let Some(leg) = &mut self.leg {
                    leg.change(core, cx, media.clone());
                }
                self.early = Early::Changed { first, media: Box::new(media) };
            }
            Some((_, Err(error))) => cx.sip(refuse_description(session, Some(&error))),
            None => cx.sip(refuse_description(session, None)),
        }
    }

    fn answered(
        mut self,
        core: &mut Core,
        cx: &mut Context<'_>,
        body: Option<sip::Body>,
        also_rang: Vec<String>,
    ) -> Step {
        let stays: Vec<_> = core.gateway.iter().cloned().collect();
        core.leave_all_but(cx, &stays);
        let media = match (sdp_of(body.as_ref()), std::mem::replace(&mut self.early, Early::Nothing)) {
            (None, Early::Nothing) => Err(Unagreed::Description),
            (None, Early::Changed { media, .. }) => Ok(*media),
            (Some(answer), Early::Changed { first, media }) if answer == first => Ok(*media),
            (Some(answer), _) => self.session.accept(answer).map_err(Unagreed::from),
            (None, Early::Answer(answer)) => self.session.accept(&answer).map_err(Unagreed::from),
        };
        let media = match media {
            Ok(media) => media,
            Err(why) => {
                let ending = Ending::NotNegotiated(why);
                cx.sip(sip::Command::Bye { session: core.session, reason: ending.farewell() });
                return self.over(core, cx, &ending);
            }
        };
        let talk = match self.leg {
            Some(leg) => {
                let agreed = (self.session, EarlyLeg { media, ..leg });
                Talk::resume(core, cx, self.port, agreed, self.max_answer)
            }
            None => Talk::begin(core, cx, self.port, (self.session, media), self.max_answer),
        };
        self.listener.tell(core, cx, News::Answered);
        let step = match self.listener {
            Listener::Connected(first) => Connect::join(talk, first).passing(State::Idle),
            Listener::Nobody | Listener::Parent(_) => Step::to(Phase::Idle(Idle::new(talk, cx))),
        };
        let now = cx.now.wall;
        step.telling(EventKind::DialCompleted {
            error: None,
            span: Span { begin: core.begin, end: now },
            answer_time: Some(now),
            contacts: Vec::new(),
            also_rang,
        })
    }

    pub(crate) fn end(self, core: &Core, cx: &mut Context<'_>, ending: Ending) -> Step {
        let is_called = !matches!(self.progress, Progress::Held { .. });
        if let Some(reason) = ending.farewell().filter(|_| is_called) {
            cx.sip(sip::Command::Cancel { session: core.session, reason: Some(reason) });
        }
        self.over(core, cx, &ending)
    }

    fn over(self, core: &Core, cx: &mut Context<'_>, ending: &Ending) -> Step {
        self.listener.tell(core, cx, News::Failed);
        let completion = EventKind::DialCompleted {
            error: Some(ending.not_answered()),
            span: Span { begin: core.begin, end: cx.now.wall },
            answer_time: None,
            contacts: match ending {
                Ending::Refused { contacts, .. } => contacts.clone(),
                _ => Vec::new(),
            },
            also_rang: Vec::new(),
        };
        let mut ended = Ended::unanswered(cx, ending, Some(self.port), Some(completion));
        if let Some(leg) = &self.leg {
            ended = ended.after(core, cx, leg, ending);
        }
        Step::to(Phase::Ended(ended))
    }
}
