//! One call: what every state has ([`Core`], [`Talk`]) and what each has for itself ([`Phase`]). An input consumes the
//! struct of the state it finds and makes the next, so what belonged to a state that is over cannot be touched.

pub(crate) mod answering;
mod beside;
pub(crate) mod early;
pub(crate) mod ended;
mod entering;
mod far_end;
pub(crate) mod idle;
pub(crate) mod inbound;
pub(crate) mod initiated;
mod refusal;
mod talk;
mod type_ahead;

use std::sync::Arc;
use std::time::Instant;

use offhook_media::event::{self as media, LegId, LegStats};
use offhook_media::sdp::{LocalMedia, Negotiated, Protection};
use offhook_sip::event::{self as sip, GatewayName, SessionId};

use crate::action::conf::Conf;
use crate::action::connect::Connect;
use crate::action::dial::Dial;
use crate::action::notice::Notice;
use crate::action::play::Play;
use crate::action::receive_dtmf::ReceiveDtmf;
use crate::action::record::Record;
use crate::action::send_dtmf::SendDtmf;
use crate::admit::{Role, Standing};
use crate::call::answering::Answering;
use crate::call::beside::Beside;
use crate::call::early::EarlyLeg;
use crate::call::ended::{Cut, Ended};
use crate::call::entering::Entering;
use crate::call::idle::Idle;
use crate::call::inbound::Inbound;
use crate::call::initiated::Dialling;
pub(crate) use crate::call::refusal::{refuse, refuse_description, sdp_body, sdp_of, warning};
pub(crate) use crate::call::talk::Talk;
pub(crate) use crate::call::type_ahead::TypeAhead;
use crate::cause::{Ending, Failure, reason_of};
use crate::command::Command;
use crate::disk::DiskEvent;
use crate::error::{Direction, Error};
use crate::event::{Event, EventKind, UnixMs};
use crate::gateway::DtmfWay;
use crate::id::{CallId, RequestId, Resource};
use crate::node::Context;
use crate::output::{Output, Reply, Snapshot};
use crate::state::{self, State};
use crate::{Config, Port};

/// How many recordings of a call its record names: a voice mail has one, an order line some; each is kept as long as the call.
const RECORDINGS_MAX: usize = 64;

/// What can happen to a call.
#[derive(Debug)]
pub(crate) enum Input {
    /// An admitted request.
    Request { id: RequestId, command: Command },
    /// Its session has news.
    Sip(sip::Event),
    /// Its leg has news.
    Media(media::Event),
    /// The disk has news for it.
    Disk(DiskEvent),
    /// Another call that it has to do with has news.
    Notice(Notice),
    /// It is in its conference no longer.
    Dismissed(Failure),
    /// Something else is to take the place of its action.
    Stop,
    /// Its deadline has come.
    Due,
    /// The node ends.
    Shutdown,
}

/// What every call has from its birth to `on_released`.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) id: CallId,
    pub(crate) direction: Direction,
    pub(crate) session: SessionId,
    pub(crate) from_uri: String,
    pub(crate) from_name: Option<String>,
    pub(crate) to_uri: String,
    pub(crate) begin: UnixMs,
    pub(crate) began: Instant,
    pub(crate) user_data: Option<String>,
    pub(crate) sip_call_id: Option<String>,
    /// What the far end said of why it ended the call.
    pub(crate) reason: Option<String>,
    /// The gateway that it came from, or goes to.
    pub(crate) gateway: Option<GatewayName>,
    /// The gateways where it has a place.
    pub(crate) held: Vec<GatewayName>,
    /// The first of its recordings.
    pub(crate) recordings: Vec<String>,
    pub(crate) beside: Beside,
}

impl Core {
    /// How digits go to its far end and come from it.
    pub(crate) fn dtmf(&self, cx: &Context<'_>) -> DtmfWay {
        let gateway = self.gateway.as_ref().and_then(|name| cx.node.gateways.get(name));
        gateway.map(|gateway| gateway.dtmf).unwrap_or_default()
    }

    /// Whether its far end may be at another address than it names.
    pub(crate) fn is_symmetric(&self, cx: &Context<'_>) -> bool {
        let gateway = self.gateway.as_ref().and_then(|name| cx.node.gateways.get(name));
        gateway.and_then(|gateway| gateway.symmetric).unwrap_or(cx.node.config.symmetric)
    }

    /// Takes a place at each gateway where it may go. A place that is only taken when the call gets there might not be
    /// free any more then, and a gateway never has more calls than it takes.
    pub(crate) fn hold(&mut self, cx: &mut Context<'_>, gateways: Vec<GatewayName>) {
        gateways.iter().for_each(|gateway| cx.node.gateways.hold(gateway));
        self.held = gateways;
    }

    /// Gives back the places at all gateways but those that are still to come.
    pub(crate) fn leave_all_but(&mut self, cx: &mut Context<'_>, stay: &[GatewayName]) {
        self.held.retain(|gateway| {
            let stays = stay.contains(gateway);
            if !stays {
                cx.node.gateways.leave(gateway);
            }
            stays
        });
    }

    /// Remembers a recording for its record, up to [`RECORDINGS_MAX`].
    pub(crate) fn remember_recording(&mut self, file: &str) {
        if self.recordings.len() < RECORDINGS_MAX {
            self.recordings.push(file.to_owned());
        }
    }

    /// The name of its leg: a call has one at most.
    pub(crate) fn leg(&self) -> LegId {
        leg_of(self.id)
    }

    /// An event of this call, of this moment.
    fn event(&self, cx: &Context<'_>, kind: EventKind) -> Event {
        Event { call: self.id, time: cx.now.wall, user_data: self.user_data.clone(), kind }
    }

    /// Tells all applications.
    pub(crate) fn tell(&self, cx: &mut Context<'_>, kind: EventKind) {
        let event = self.event(cx, kind);
        cx.output(Output::Event(event));
    }

    /// Tells all applications, when every call that this step touches has reached its new state.
    pub(crate) fn tell_at_last(&self, cx: &mut Context<'_>, kind: EventKind) {
        let event = self.event(cx, kind);
        cx.node.completions.push(Output::Event(event));
    }

    /// Whether its media is protected: one offer goes to all gateways that the call may come to, so the strictest counts.
    fn protection(&self, cx: &Context<'_>) -> Protection {
        let gateways = self.gateway.iter().chain(&self.held).filter_map(|name| cx.node.gateways.get(name));
        gateways.map(|gateway| gateway.srtp).max().unwrap_or_default()
    }

    /// Our side of its session description; `codecs` before the gateway's, and those before the node's.
    pub(crate) fn local_media(&self, cx: &Context<'_>, port: Port, codecs: &[media::Codec]) -> LocalMedia {
        let config = &cx.node.config;
        let gateway = self.gateway.as_ref().and_then(|name| cx.node.gateways.get(name));
        let gateways = gateway.map(|gateway| gateway.codecs.as_slice()).unwrap_or_default();
        let lists = [codecs, gateways, &config.codecs];
        let order = gateway.map(|gateway| gateway.codec_order).unwrap_or_default();
        LocalMedia {
            address: config.media_address,
            port: port.0,
            codecs: lists.into_iter().find(|list| !list.is_empty()).unwrap_or_default().to_vec(),
            order,
            telephone_events: self.dtmf(cx) != DtmfWay::Inband,
            comfort_noise: config.comfort_noise,
            rtcp_mux: config.rtcp_mux,
            protection: self.protection(cx),
            seed: config.seed,
            ptime_ms: config.ptime_ms,
            session_id: self.id.0,
            version: 1,
            destinations: Arc::clone(&config.destinations),
        }
    }
}

impl From<&Core> for Resource {
    fn from(core: &Core) -> Self {
        Self::Call(core.id)
    }
}

/// The leg of a call.
pub(crate) fn leg_of(call: CallId) -> LegId {
    LegId(call.0)
}

/// Where a call is, with what only that place has.
#[derive(Debug)]
pub(crate) enum Phase {
    Inbound(Inbound),
    Dialling(Dialling),
    Answering(Answering),
    Idle(Idle),
    Play(Play),
    Record(Record),
    SendDtmf(SendDtmf),
    ReceiveDtmf(ReceiveDtmf),
    Dial(Dial),
    Connect(Connect),
    Conf(Conf),
    Entering(Entering),
    Ended(Ended),
}

/// What an input leads to.
#[derive(Debug)]
pub(crate) struct Step {
    /// A state that was entered and left again on the way.
    passing: Option<State>,
    phase: Phase,
    /// The completion that is told when the state has been reached.
    told: Option<EventKind>,
}

impl Step {
    /// On to, or remain in, a phase.
    pub(crate) fn to(phase: Phase) -> Self {
        Self { passing: None, phase, told: None }
    }

    /// By way of a state that is over already.
    pub(crate) fn passing(self, state: State) -> Self {
        Self { passing: Some(state), ..self }
    }

    /// And tell of what was completed by it.
    pub(crate) fn telling(self, kind: EventKind) -> Self {
        Self { told: Some(kind), ..self }
    }
}

/// One call.
#[derive(Debug)]
pub(crate) struct Call {
    core: Core,
    phase: Phase,
}

impl Call {
    /// What its leg has come to, where there is or was one.
    pub(crate) fn stats(&self) -> Option<&LegStats> {
        match &self.phase {
            Phase::Ended(ended) => Some(ended.stats()),
            phase => phase.media().map(|(_, stats)| stats),
        }
    }

    /// What its media, or its early media, is in.
    pub(crate) fn codec(&self) -> Option<media::Codec> {
        self.phase.media().map(|(media, _)| media.codec)
    }

    /// Which way it went.
    pub(crate) fn direction(&self) -> Direction {
        self.core.direction
    }

    /// A new call; what it is told of before `on_state_changed` has been told.
    pub(crate) fn begin(core: Core, cx: &mut Context<'_>, phase: Phase) -> Self {
        cx.route_session(core.session, core.id);
        state::tell(&core, cx, phase.state(), None);
        Self { core, phase }
    }

    /// Handles an input; none when that released the call.
    pub(crate) fn handle(self, cx: &mut Context<'_>, input: Input) -> Option<Self> {
        let Self { mut core, phase } = self;
        let prior = phase.state();
        let Step { passing, phase, told } = phase.handle(&mut core, cx, input);
        if matches!(phase, Phase::Ended(_)) {
            beside::end(&mut core, cx);
        }
        state::change(&core, cx, prior, passing, phase.state());
        if let Some(kind) = told {
            core.tell_at_last(cx, kind);
        }
        match phase {
            Phase::Ended(ended) => {
                ended.settle(&mut core, cx).map(|ended| Self { core, phase: Phase::Ended(ended) })
            }
            phase => Some(Self { core, phase }),
        }
    }

    /// A request named it: an idle call's clock starts anew.
    pub(crate) fn touch(&mut self, now: Instant) {
        if let Phase::Idle(idle) = &mut self.phase {
            idle.touch(now);
        }
    }

    pub(crate) fn id(&self) -> CallId {
        self.core.id
    }

    pub(crate) fn state(&self) -> State {
        self.phase.state()
    }

    /// When it wants [`Input::Due`].
    pub(crate) fn deadline(&self, config: &Config) -> Option<Instant> {
        let own = self.phase.deadline(config);
        let talk = self.phase.talk().and_then(Talk::deadline);
        own.into_iter().chain(talk).chain(self.core.beside.deadline()).min()
    }

    pub(crate) fn standing(&self) -> Standing {
        let role = match &self.phase {
            Phase::Connect(connect) => connect.role(),
            _ => Role::Own,
        };
        let child = match &self.phase {
            Phase::Dial(dial) => dial.child(),
            _ => None,
        };
        let Core { direction, ref beside, .. } = self.core;
        Standing {
            state: self.state(),
            direction,
            role,
            child,
            transferring: beside.transferring(),
            detecting: beside.detecting(),
            referral: beside.referral(),
            entering: matches!(self.phase, Phase::Entering(_)),
        }
    }

    /// All that is known of it.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let (talk, media) = (self.phase.talk(), self.phase.media());
        Snapshot {
            call: self.core.id,
            session: self.core.session,
            state: self.state(),
            direction: self.core.direction,
            from_uri: self.core.from_uri.clone(),
            from_name: self.core.from_name.clone(),
            to_uri: self.core.to_uri.clone(),
            gateway: self.core.gateway.clone(),
            begin: self.core.begin,
            answer_time: talk.map(|talk| talk.answered),
            user_data: self.core.user_data.clone(),
            sip_call_id: self.core.sip_call_id.clone(),
            codec: media.map(|(media, _)| media.codec),
            srtp: media.and_then(|(media, _)| media.keys).map(|keys| keys.ours.suite()),
            remote_media: talk.map(Talk::remote_media).or(self.phase.early().map(EarlyLeg::remote_media)),
            local_port: self.port(),
            connected_to: match &self.phase {
                Phase::Connect(connect) => Some(connect.other()),
                _ => None,
            },
            conference: match &self.phase {
                Phase::Conf(conf) => Some(conf.conference()),
                _ => None,
            },
            recordings: self.core.recordings.clone(),
            stats: media.map(|(_, stats)| *stats).unwrap_or_default(),
        }
    }

    /// The ports it holds.
    pub(crate) fn port(&self) -> Option<Port> {
        match &self.phase {
            Phase::Inbound(inbound) => Some(inbound.port()),
            Phase::Dialling(dialling) => Some(dialling.port()),
            Phase::Answering(answering) => Some(answering.port()),
            Phase::Ended(ended) => ended.port(),
            phase => phase.talk().map(|talk| talk.port),
        }
    }
}

impl Phase {
    /// When what it does wants to be told that time has passed.
    fn deadline(&self, config: &Config) -> Option<Instant> {
        match self {
            Self::Inbound(inbound) => inbound.deadline(),
            Self::Dialling(dialling) => dialling.deadline(),
            Self::Answering(_) => None,
            Self::Idle(idle) => idle.deadline(config),
            Self::Play(play) => play.deadline(),
            Self::Record(record) => record.deadline(),
            Self::SendDtmf(send) => send.deadline(),
            Self::ReceiveDtmf(receive) => receive.deadline(),
            Self::Dial(dial) => dial.deadline(),
            Self::Connect(connect) => connect.deadline(),
            Self::Conf(conf) => conf.deadline(),
            Self::Entering(entering) => entering.deadline(config),
            Self::Ended(ended) => ended.deadline(),
        }
    }

    fn state(&self) -> State {
        match self {
            Self::Inbound(_) | Self::Dialling(_) => State::Initiated,
            Self::Answering(_) => State::Answer,
            Self::Idle(_) => State::Idle,
            Self::Play(_) => State::Play,
            Self::Record(_) => State::Record,
            Self::SendDtmf(_) => State::SendDtmf,
            Self::ReceiveDtmf(_) => State::ReceiveDtmf,
            Self::Dial(_) => State::Dial,
            Self::Connect(_) => State::Connect,
            Self::Conf(_) => State::Conf,
            Self::Entering(entering) => entering.doing.state(),
            Self::Ended(_) => State::Released,
        }
    }

    fn talk(&self) -> Option<&Talk> {
        match self {
            Self::Inbound(_) | Self::Dialling(_) | Self::Answering(_) | Self::Ended(_) => None,
            Self::Idle(idle) => Some(&idle.talk),
            Self::Play(play) => Some(&play.talk),
            Self::Record(record) => Some(&record.talk),
            Self::SendDtmf(send) => Some(&send.talk),
            Self::ReceiveDtmf(receive) => Some(&receive.talk),
            Self::Dial(dial) => Some(&dial.talk),
            Self::Connect(connect) => Some(&connect.talk),
            Self::Conf(conf) => Some(&conf.talk),
            Self::Entering(entering) => entering.doing.talk(),
        }
    }

    fn talk_mut(&mut self) -> Option<&mut Talk> {
        match self {
            Self::Inbound(_) | Self::Dialling(_) | Self::Answering(_) | Self::Ended(_) => None,
            Self::Idle(idle) => Some(&mut idle.talk),
            Self::Play(play) => Some(&mut play.talk),
            Self::Record(record) => Some(&mut record.talk),
            Self::SendDtmf(send) => Some(&mut send.talk),
            Self::ReceiveDtmf(receive) => Some(&mut receive.talk),
            Self::Dial(dial) => Some(&mut dial.talk),
            Self::Connect(connect) => Some(&mut connect.talk),
            Self::Conf(conf) => Some(&mut conf.talk),
            Self::Entering(entering) => entering.doing.talk_mut(),
        }
    }

    /// The leg of a call that is not answered, where there is early media.
    fn early(&self) -> Option<&EarlyLeg> {
        match self {
            Self::Inbound(inbound) => inbound.leg(),
            Self::Dialling(dialling) => dialling.leg(),
            Self::Answering(answering) => answering.leg(),
            _ => None,
        }
    }

    fn early_mut(&mut self) -> Option<&mut EarlyLeg> {
        match self {
            Self::Inbound(inbound) => inbound.leg_mut(),
            Self::Dialling(dialling) => dialling.leg_mut(),
            Self::Answering(answering) => answering.leg_mut(),
            _ => None,
        }
    }

    /// What a leg has agreed on and come to, where there is one.
    fn media(&self) -> Option<(&Negotiated, &LegStats)> {
        let talk = self.talk().map(|talk| (&talk.media, &talk.stats));
        talk.or_else(|| self.early().map(|early| (&early.media, &early.stats)))
    }

    /// First what means the same in every state, then the state's own.
    fn handle(mut self, core: &mut Core, cx: &mut Context<'_>, input: Input) -> Step {
        if let Self::Ended(ended) = self {
            return ended.handle(cx, input);
        }
        if let Some(talk) = self.talk_mut() {
            talk.hear(core, cx, &input);
        }
        if let Some(early) = self.early_mut() {
            early.hear(&input);
        }
        if let Input::Sip(sip::Event::Ended { cause, .. }) = &input {
            core.reason = reason_of(cause);
        }
        if let Some(ending) = self.ending(cx, &input) {
            let step = self.end(core, cx, ending);
            if let Input::Request { id, .. } = input {
                cx.reply(id, Ok(Reply::Done));
            }
            return step;
        }
        let Some(input) = beside::handle(core, cx, self.talk().is_some(), input) else {
            return Step::to(self);
        };
        self.act(core, cx, input)
    }

    /// What the input means to the state alone.
    fn act(self, core: &mut Core, cx: &mut Context<'_>, input: Input) -> Step {
        if let Input::Request { id, command: Command::ConfEnter(enter) } = input {
            return entering::begin(self, core, cx, id, enter);
        }
        match self {
            Self::Inbound(inbound) => inbound.handle(core, cx, input),
            Self::Dialling(dialling) => dialling.handle(core, cx, input),
            Self::Answering(answering) => answering.handle(core, cx, input),
            Self::Idle(idle) => idle.handle(core, cx, input),
            Self::Play(play) => play.handle(core, cx, input),
            Self::Record(record) => record.handle(core, cx, input),
            Self::SendDtmf(send) => send.handle(core, cx, input),
            Self::ReceiveDtmf(receive) => receive.handle(core, cx, input),
            Self::Dial(dial) => dial.handle(core, cx, input),
            Self::Connect(connect) => connect.handle(core, cx, input),
            Self::Conf(conf) => conf.handle(core, cx, input),
            Self::Entering(entering) => entering.handle(core, cx, input),
            Self::Ended(ended) => ended.handle(cx, input),
        }
    }

    /// Whether the input ends the call, whatever it is doing.
    fn ending(&self, cx: &Context<'_>, input: &Input) -> Option<Ending> {
        match input {
            Input::Request { command: Command::Drop { cause, .. }, .. } => {
                Some(Ending::Drop { cause: *cause })
            }
            Input::Sip(sip::Event::Ended { cause, .. }) => Some(Ending::of_session(cause)),
            Input::Shutdown => Some(Ending::Shutdown),
            Input::Media(media::Event::LegRemoved { .. }) if self.media().is_some() => {
                Some(Ending::MediaGone)
            }
            Input::Due if is_due(self.talk().and_then(|talk| talk.until), cx) => Some(Ending::MaxAnswer),
            Input::Due if is_due(self.talk().and_then(|talk| talk.silent_until), cx) => Some(Ending::Silent),
            _ => None,
        }
    }

    /// Ends the call: what it was doing is cut off, the far end is told, and what is still to come is awaited. An
    /// action goes by Idle.
    fn end(self, core: &Core, cx: &mut Context<'_>, ending: Ending) -> Step {
        let (talk, cut) = match self {
            Self::Inbound(inbound) => return inbound.end(core, cx, ending),
            Self::Dialling(dialling) => return dialling.end(core, cx, ending),
            Self::Answering(answering) => return answering.end(core, cx, ending),
            Self::Ended(ended) => return Step::to(Self::Ended(ended)),
            Self::Idle(idle) => return idle.end(core, cx, ending),
            Self::Play(play) => play.cut(core, cx, &ending),
            Self::Record(record) => record.cut(core, cx, &ending),
            Self::SendDtmf(send) => send.cut(cx, &ending),
            Self::ReceiveDtmf(receive) => receive.cut(core, cx, &ending),
            Self::Dial(dial) => dial.cut(core, cx),
            Self::Connect(connect) => connect.cut(core, cx, &ending),
            Self::Conf(conf) => conf.cut(core, cx, &ending),
            Self::Entering(entering) => return entering.end(core, cx, ending),
        };
        hang_up(core, cx, talk, &ending, cut).passing(State::Idle)
    }
}

/// Ends an answered call.
pub(crate) fn hang_up(core: &Core, cx: &mut Context<'_>, talk: Talk, ending: &Ending, cut: Cut) -> Step {
    if let Some(reason) = ending.farewell() {
        cx.sip(sip::Command::Bye { session: core.session, reason: Some(reason) });
    }
    if *ending != Ending::MediaGone {
        cx.media(media::Command::RemoveLeg { leg: core.leg() });
    }
    Step::to(Phase::Ended(Ended::answered(core, cx, talk, ending, cut)))
}

/// An input that means nothing to the state it finds: news that was overtaken. An admitted request is always meant for
/// its state; should one come here all the same, that is a defect, and it still gets its reply.
pub(crate) fn pass_over(cx: &mut Context<'_>, input: Input) {
    if let Input::Request { id, command } = input {
        debug_assert!(false, "admitted and not handled: {command:?}");
        let message = "an admitted request is not handled".to_owned();
        cx.reply(id, Err(Error::Internal { message }));
    }
}

/// Whether a deadline has come.
pub(crate) fn is_due(deadline: Option<Instant>, cx: &Context<'_>) -> bool {
    deadline.is_some_and(|deadline| deadline <= cx.now.mono)
}
