//! What calls have been through (`sys.call.explain`): a time line of each, from what passes the control loop anyway.
//!
//! ```text
//!   SIP messages, both ways ──▶ by Call-ID and tag ─┐
//!   requests and replies ─────▶ by the call         ├─▶ steps of a call ─▶ (asked) ─▶ words
//!   events, media ────────────▶ by the call         ┘
//! ```
//! A call costs a few dozen small values, and no words: those are made when somebody asks, by `words.rs` and not on the control
//! thread. What is kept is bounded by the limits below, whatever calls and far ends do.

mod asked;
mod step;
mod told;
mod words;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use offhook_call::command::Command;
use offhook_call::error::Error;
use offhook_call::event::{Event, EventKind, Parties, UnixMs};
use offhook_call::id::{CallId, NodeId, RequestId, Resource};
use offhook_call::state::State;
use offhook_call::{Reply, Snapshot};
use offhook_media::event::{Command as MediaCommand, LegConfig, LegId, LegStats};
use offhook_sip::event::{Flow, Header, Transmit};
use offhook_sip::{First, Glance};

use step::{Asked, Media, Message, Step, Timed};
pub(crate) use words::wire;

use crate::call_log::Names;
use crate::trace::TraceId;

/// The most calls that are over and still known: some minutes of a node at its limit, days of a small one.
const MAX_OVER: usize = 10_000;
/// The most bytes that the steps of all calls take, at about three kilobytes for a call that is answered and hung up.
const MAX_BYTES: usize = 64 << 20;
/// The most steps of a call. One whose application plays and collects keys for hours has as many as it likes.
const MAX_STEPS: usize = 256;
/// Of those the first, which say how the call came about; the others are the latest.
const FIRST_STEPS: usize = 64;

/// What is known of one call.
#[derive(Clone, Debug)]
pub struct Explanation {
    call: CallId,
    state: State,
    parties: Box<Parties>,
    sip_call_id: Option<Arc<str>>,
    trace_id: TraceId,
    steps: VecDeque<Timed>,
    left_out: u64,
    media: LegStats,
}

/// The trace of a call.
#[derive(Clone, Copy, Debug)]
struct Trace {
    id: TraceId,
    /// Whether the far end or an application has named it.
    is_given: bool,
}

impl Trace {
    fn new() -> Self {
        Self { id: TraceId::random(), is_given: false }
    }

    /// That which headers name.
    fn among(headers: &[Header]) -> Option<Self> {
        TraceId::among(headers).map(|id| Self { id, is_given: true })
    }
}

/// The time line of a call.
#[derive(Debug)]
struct Line {
    trace: Trace,
    steps: VecDeque<Timed>,
    left_out: u64,
    /// What they take.
    bytes: usize,
    /// From its first event on.
    call: Option<(State, Box<Parties>)>,
    sip_call_id: Option<Arc<str>>,
    /// What its media had seen at its end.
    media: Option<Box<LegStats>>,
}

/// The calls whose messages have one Call-ID: two, where we have called ourselves by way of a proxy.
#[derive(Debug, Default)]
struct Dialogs {
    inbound: Option<CallId>,
    /// The call, and our tag, once its INVITE has gone out.
    outbound: Option<(CallId, Box<[u8]>)>,
}

impl Line {
    fn new() -> Self {
        Self {
            trace: Trace::new(),
            steps: VecDeque::new(),
            left_out: 0,
            bytes: 0,
            call: None,
            sip_call_id: None,
            media: None,
        }
    }
}

impl Dialogs {
    fn call(&self, is_out: bool, glance: &Glance<'_>) -> Option<CallId> {
        match (self.inbound, &self.outbound) {
            (Some(inbound), Some((outbound, tag))) => {
                Some(if **tag == *our_tag(is_out, glance) { *outbound } else { inbound })
            }
            (inbound, outbound) => inbound.or(outbound.as_ref().map(|(call, _)| *call)),
        }
    }
}

/// Our tag of a dialog stands in From of what we have asked and in To of what we are asked.
fn our_tag<'a>(is_out: bool, glance: &Glance<'a>) -> &'a [u8] {
    let is_ours = is_out == matches!(glance.first, First::Request(_));
    if is_ours { glance.from_tag } else { glance.to_tag }
}

/// A request that is not answered yet.
#[derive(Debug)]
struct Request {
    /// Whom it is about; none for a call that is to be placed for nobody.
    call: Option<CallId>,
    at: UnixMs,
    asked: Asked,
    /// Of a call that is to be placed: what it belongs to.
    trace: Option<Trace>,
}

/// An INVITE of a call that is not known by its Call-ID yet.
#[derive(Debug)]
struct Invite {
    call_id: Arc<str>,
    /// Of From.
    tag: Box<[u8]>,
    /// That which it names.
    trace_id: Option<TraceId>,
    step: Timed,
}

impl Invite {
    /// None where it is another message.
    fn of(at: UnixMs, is_out: bool, flow: Flow, glance: &Glance<'_>) -> Option<Self> {
        let is_invite = matches!(&glance.first, First::Request(method) if method == "INVITE");
        (is_invite && glance.to_tag.is_empty()).then(|| {
            let step = Timed { at, step: Step::Sip(Box::new(Message::of(is_out, flow, glance))) };
            let trace_id = glance.traceparent.and_then(TraceId::of);
            Self { call_id: glance.call_id.into(), tag: glance.from_tag.into(), trace_id, step }
        })
    }
}

/// The time lines of all calls that live, and of the latest that are over.
#[derive(Debug)]
pub(crate) struct Timelines {
    node: NodeId,
    lines: HashMap<CallId, Line>,
    /// By Call-ID.
    dialogs: HashMap<Arc<str>, Dialogs>,
    /// Those that are over, oldest first.
    over: VecDeque<CallId>,
    bytes: usize,
    /// The INVITE that is being handled, until the call is there that it makes.
    coming: Option<Invite>,
    /// The INVITE that goes out, until it is told whose it is.
    going: Option<Invite>,
    /// Requests that are not answered yet. No more than the control loop has.
    asked: HashMap<RequestId, Request>,
}

impl Timelines {
    pub(crate) fn new(node: NodeId) -> Self {
        Self {
            node,
            lines: HashMap::new(),
            dialogs: HashMap::new(),
            over: VecDeque::new(),
            bytes: 0,
            coming: None,
            going: None,
            asked: HashMap::new(),
        }
    }

    /// A message has come, and is handled next.
    pub(crate) fn received(&mut self, at: UnixMs, flow: Flow, bytes: &[u8]) {
        let Some(glance) = Glance::of(bytes) else { return };
        let dialogs = self.dialogs.get(glance.call_id);
        // By the Call-ID of a call of ours the call may come in that it makes; and by that of one that is over, another one.
        let lives = |call: CallId| self.lines.get(&call).is_some_and(|line| line.media.is_none());
        if !dialogs.and_then(|dialogs| dialogs.inbound).is_some_and(lives) {
            self.coming = Invite::of(at, false, flow, &glance);
        }
        let call = dialogs.and_then(|dialogs| dialogs.call(false, &glance));
        if let Some(call) = call.filter(|_| self.coming.is_none()) {
            self.add(call, at, Step::Sip(Box::new(Message::of(false, flow, &glance))));
        }
    }

    /// All has been done that an input has brought about.
    pub(crate) fn handled(&mut self) {
        (self.coming, self.going) = (None, None);
    }

    /// A message goes out: that of a call, where it is known whose.
    pub(crate) fn sent(&mut self, at: UnixMs, message: &Transmit) -> Option<CallId> {
        let glance = Glance::of(&message.bytes)?;
        let call = self.dialogs.get(glance.call_id).and_then(|dialogs| dialogs.call(true, &glance));
        match call {
            Some(call) => self.add(call, at, Step::Sip(Box::new(Message::of(true, message.flow, &glance)))),
            None => self.going = Invite::of(at, true, message.flow, &glance).or(self.going.take()),
        }
        call
    }

    /// An INVITE is that of a call: the one that has gone out just now, where it is the first.
    pub(crate) fn dialled(&mut self, call: CallId, sip_call_id: &str) {
        let invite = self.going.take_if(|invite| *invite.call_id == *sip_call_id);
        let Some(line) = self.lines.get_mut(&call).filter(|line| line.sip_call_id.is_none()) else { return };
        let sip_call_id: Arc<str> = sip_call_id.into();
        line.sip_call_id = Some(sip_call_id.clone());
        let (tag, step) = invite.map(|invite| (invite.tag, invite.step)).unzip();
        self.dialogs.entry(sip_call_id).or_default().outbound = Some((call, tag.unwrap_or_default()));
        if let Some(Timed { at, step }) = step {
            self.add(call, at, step);
        }
    }

    /// An application asks.
    pub(crate) fn asked(&mut self, at: UnixMs, id: RequestId, command: &Command) {
        let (call, asked) = match (asked::of(self.node, command), command) {
            (Some((call, _)), _) if !self.lines.contains_key(&call) => return,
            (Some((call, asked)), _) => {
                self.add(call, at, Step::Command(asked.clone()));
                (Some(call), asked)
            }
            (None, Command::Construct(construct)) => (None, asked::construct(self.node, construct)),
            (None, _) => return,
        };
        let trace = match command {
            // Without a trace of its own a call belongs to that of the call it is dialled for.
            Command::Construct(construct) => Trace::among(&construct.headers).or_else(|| {
                let parent = self.lines.get(&call?)?;
                Some(parent.trace)
            }),
            _ => None,
        };
        self.asked.insert(id, Request { call, at, asked, trace });
    }

    /// And is answered.
    pub(crate) fn replied(&mut self, at: UnixMs, id: RequestId, result: &Result<Reply, Error>) {
        let Some(Request { call, at: asked_at, asked, trace }) = self.asked.remove(&id) else { return };
        let method = asked.method;
        if let Ok(Reply::Constructed { call: made, .. }) = *result {
            // It was asked for before anything else of it.
            let line = self.lines.entry(made).or_insert_with(Line::new);
            line.trace = trace.unwrap_or(line.trace);
            self.put(made, Timed { at: asked_at, step: Step::Command(asked) }, VecDeque::push_front);
            self.add(made, at, Step::Reply { method, error: None });
        }
        if let Some(call) = call {
            let error = result.as_ref().err().cloned().map(Box::new);
            self.add(call, at, Step::Reply { method, error });
        }
    }

    /// Applications are told of a call.
    pub(crate) fn told(&mut self, event: &Event) {
        let call = event.call;
        if !self.lines.contains_key(&call) {
            self.begin(call);
        }
        if let EventKind::Incoming { headers, .. } = &event.kind
            && let (Some(line), Some(trace)) = (self.lines.get_mut(&call), Trace::among(headers))
        {
            line.trace = trace;
        }
        self.add(call, event.time, told::of(self.node, &event.kind));
        let Some(line) = self.lines.get_mut(&call) else { return };
        match &event.kind {
            EventKind::StateChanged { state, parties, .. } => match &mut line.call {
                Some((now, _)) => *now = *state,
                none => *none = Some((*state, parties.clone())),
            },
            EventKind::Released(released) => {
                line.media = Some(Box::new(released.stats));
                self.over.push_back(call);
                self.forget_old();
            }
            _ => {}
        }
    }

    /// The media of a call begins, or goes otherwise from now on.
    pub(crate) fn media(&mut self, at: UnixMs, leg: LegId, config: &LegConfig) {
        self.add(CallId(leg.0), at, Step::Media(Box::new(Media::of(config))));
    }

    /// What of that a command says.
    pub(crate) fn commanded(&mut self, at: UnixMs, command: &MediaCommand) {
        if let MediaCommand::UpdateLeg { leg, config } = command {
            self.media(at, *leg, config);
        }
    }

    /// What is known of a call; `now` is that of the calls, where it lives.
    pub(crate) fn explain(&self, call: CallId, now: Option<Snapshot>) -> Option<Explanation> {
        let line = self.lines.get(&call)?;
        let (state, parties) = line.call.clone()?;
        let at_the_end = line.media.as_deref().copied().unwrap_or_default();
        Some(Explanation {
            call,
            state,
            parties,
            sip_call_id: line.sip_call_id.clone(),
            trace_id: line.trace.id,
            steps: line.steps.clone(),
            left_out: line.left_out,
            media: now.map_or(at_the_end, |now| now.stats),
        })
    }

    /// The trace that a call belongs to, where one was named.
    pub(crate) fn given_trace(&self, call: CallId) -> Option<TraceId> {
        let trace = self.lines.get(&call)?.trace;
        trace.is_given.then_some(trace.id)
    }

    /// The Call-ID of the INVITE that is being handled, and the trace that it names, until there is a call that it makes.
    pub(crate) fn coming(&self) -> Option<(&str, Option<TraceId>)> {
        self.coming.as_ref().map(|invite| (&*invite.call_id, invite.trace_id))
    }

    /// By what a line of the log names a call or a conference.
    pub(crate) fn names(&self, of: impl Into<Resource>) -> Names {
        let of = of.into();
        let line = match of {
            Resource::Call(call) => self.lines.get(&call),
            Resource::Conference(_) => None,
        };
        Names {
            node: self.node,
            of,
            sip_call_id: line.and_then(|line| line.sip_call_id.clone()),
            trace_id: line.map(|line| line.trace.id),
        }
    }

    /// A new call: the INVITE that is being handled is its first step.
    fn begin(&mut self, call: CallId) {
        let mut line = Line::new();
        let invite = self.coming.take();
        if let Some(Invite { call_id, .. }) = &invite {
            line.sip_call_id = Some(call_id.clone());
            self.dialogs.entry(call_id.clone()).or_default().inbound = Some(call);
        }
        self.lines.insert(call, line);
        if let Some(Invite { step: Timed { at, step }, .. }) = invite {
            self.add(call, at, step);
        }
    }

    /// A step of a call, its latest.
    fn add(&mut self, call: CallId, at: UnixMs, step: Step) {
        self.put(call, Timed { at, step }, VecDeque::push_back);
    }

    /// Of too many steps those in the middle go, and where there is no room at all, this one.
    fn put(&mut self, call: CallId, timed: Timed, push: impl FnOnce(&mut VecDeque<Timed>, Timed)) {
        let Some(line) = self.lines.get_mut(&call) else { return };
        if line.steps.len() >= MAX_STEPS
            && let Some(old) = line.steps.remove(FIRST_STEPS)
        {
            let cost = old.cost();
            (line.bytes, self.bytes) = (line.bytes - cost, self.bytes - cost);
            line.left_out += 1;
        }
        let cost = timed.cost();
        if self.bytes + cost > MAX_BYTES {
            line.left_out += 1;
            return;
        }
        push(&mut line.steps, timed);
        (line.bytes, self.bytes) = (line.bytes + cost, self.bytes + cost);
        self.forget_old();
    }

    /// Lets those go that were over first, until what is left is within the limits. There must be room for the calls that live:
    /// an eighth is kept free.
    fn forget_old(&mut self) {
        while self.over.len() > MAX_OVER || self.bytes > MAX_BYTES / 8 * 7 {
            let Some(call) = self.over.pop_front() else { return };
            let Some(line) = self.lines.remove(&call) else { continue };
            self.bytes -= line.bytes;
            let Some(call_id) = line.sip_call_id else { continue };
            let Some(dialogs) = self.dialogs.get_mut(&call_id) else { continue };
            dialogs.inbound.take_if(|inbound| *inbound == call);
            dialogs.outbound.take_if(|(outbound, _)| *outbound == call);
            if dialogs.inbound.is_none() && dialogs.outbound.is_none() {
                self.dialogs.remove(&call_id);
            }
        }
    }
}

#[cfg(test)]
mod tests;

/// One that is the same at all times, for the contract's examples.
#[cfg(test)]
pub(crate) use tests::example;
