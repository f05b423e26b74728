//! Conferences (`call-api.md` §5): resources of their own that calls enter and leave.
//!
//! ```text
//!   construct ─▶ the disk, where it is needed ─▶ open ◀─ members come and go, all hear and are recorded
//!                 ┌─────────────────────────────────┘  release · max_seconds · too few left · nobody for 180 s
//!                 ▼
//!              closing: members are Idle again; its room ends, and with it what was played and recorded ─▶ on_released
//! ```
//! A conference is a room of the media engine and the list of its members. The action of a member is the call's own
//! (`action/conf.rs`); here it is known who is in, and how.

mod children;
mod command;
mod event;
mod opening;
mod registry;
mod sound;
mod welcomes;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use offhook_media::event::{
    self as media, Codec, Gain, Prompt, RoomCommand, RoomEvent, RoomId, Voice, VoiceMode,
};

use crate::action::notice::News;
use crate::call::ended::SETTLED_WITHIN;
use crate::call::{is_due, leg_of};
use crate::cause::Failure;
use crate::command::Construct as DialledCall;
use crate::conference::children::Children;
pub use crate::conference::command::{Command, Construct, RecordFile};
pub use crate::conference::event::{Event, EventKind, Over, Part, Snapshot};
use crate::conference::opening::Opening;
pub(crate) use crate::conference::registry::Entry;
use crate::conference::sound::Sound;
use crate::conference::welcomes::Welcomes;
use crate::disk::DiskEvent;
use crate::error::Error;
use crate::event::{Span, UnixMs};
use crate::id::{CallId, ConferenceId, RequestId};
use crate::node::Context;
use crate::output::{Output, Reply};

/// What prompts for a room are decoded to. The rates of its members are not known when they are loaded, and change.
pub(crate) const PROMPTS: Codec = Codec::L16Wide;

/// How long a conference waits for a member. One that an application has forgotten must not stay for ever.
const EMPTY_WITHIN: Duration = Duration::from_secs(180);

/// What can happen to a conference.
#[derive(Debug)]
pub(crate) enum Input {
    /// A request.
    Request { id: RequestId, command: Command },
    /// A call is to be dialled for it.
    Dial { id: RequestId, construct: Box<DialledCall> },
    /// Its room has news.
    Room(RoomEvent),
    /// The disk has news for it.
    Disk(DiskEvent),
    /// A member has news.
    Notice(Notice),
    /// Its deadline has come.
    Due,
    /// The node ends.
    Shutdown,
}

/// What a call tells a conference.
#[derive(Debug)]
pub(crate) enum Notice {
    /// I am in, and this is to be heard by all.
    Entered { call: CallId, member: Member, welcome: Vec<Arc<Prompt>> },
    /// I am in no longer.
    Left { call: CallId },
    /// Of one that is dialled for you.
    Child { child: CallId, news: News },
}

/// How a call is in its conference.
#[derive(Debug)]
pub(crate) struct Member {
    mode: VoiceMode,
    volume: i8,
    talking: bool,
    user_data: Option<String>,
}

impl Member {
    pub(crate) fn new(mode: VoiceMode, volume: i8, user_data: Option<String>) -> Self {
        Self { mode, volume, talking: false, user_data }
    }

    pub(crate) fn voice(&self) -> Voice {
        Voice { mode: self.mode, says: Gain::from_decibels(self.volume), hears: Gain::UNITY }
    }
}

/// The room of a conference.
pub(crate) fn room_of(conference: ConferenceId) -> RoomId {
    RoomId(conference.0)
}

/// What a conference has from its opening to `on_released`.
#[derive(Debug)]
struct Core {
    id: ConferenceId,
    begin: UnixMs,
    user_data: Option<String>,
}

impl Core {
    /// Tells all applications.
    fn tell(&self, cx: &mut Context<'_>, kind: EventKind) {
        let event = self.event(cx, kind);
        cx.output(Output::ConferenceEvent(event));
    }

    /// Tells all applications, after what calls have completed in this step.
    fn tell_at_last(&self, cx: &mut Context<'_>, kind: EventKind) {
        let event = self.event(cx, kind);
        cx.node.completions.push(Output::ConferenceEvent(event));
    }

    fn event(&self, cx: &Context<'_>, kind: EventKind) -> Event {
        let (conference, time, user_data) = (self.id, cx.now.wall, self.user_data.clone());
        Event { conference, time, user_data, kind }
    }

    fn tell_room(&self, cx: &mut Context<'_>, command: RoomCommand) {
        cx.media(media::Command::Room { room: room_of(self.id), command });
    }
}

/// One conference.
#[derive(Debug)]
pub(crate) struct Conference {
    core: Core,
    phase: Phase,
}

#[derive(Debug)]
enum Phase {
    Opening(Box<Opening>),
    Open(Open),
    Closing(Closing),
}

/// A conference that calls can enter.
#[derive(Debug)]
struct Open {
    members: BTreeMap<CallId, Member>,
    threshold: i32,
    /// Whether a second member has been in.
    has_met: bool,
    until: Option<Instant>,
    /// When it is given up because nobody is in.
    empty_until: Option<Instant>,
    sound: Sound,
    welcomes: Welcomes,
    children: Children,
}

/// A conference that is over; its room goes.
#[derive(Debug)]
struct Closing {
    end: UnixMs,
    reason: Over,
    guard: Option<Instant>,
    sound: Sound,
    is_room_there: bool,
}

impl Conference {
    /// Opens one, as soon as the disk has what is wanted.
    pub(crate) fn open(
        id: ConferenceId,
        cx: &mut Context<'_>,
        request: RequestId,
        construct: Construct,
    ) -> Self {
        let core = Core { id, begin: cx.now.wall, user_data: construct.user_data.clone() };
        let phase = match Opening::ask(&core, cx, request, &construct) {
            Some(opening) => Phase::Opening(Box::new(opening)),
            None => {
                let open = Open::begin(&core, cx, &construct);
                cx.reply(request, Ok(Reply::ConferenceConstructed(id)));
                Phase::Open(open)
            }
        };
        Self { core, phase }
    }

    pub(crate) fn id(&self) -> ConferenceId {
        self.core.id
    }

    /// What is known of it and of its members, where calls can enter it.
    pub(crate) fn standing(&self) -> Option<(Snapshot, Vec<Part>)> {
        let Phase::Open(open) = &self.phase else { return None };
        Some((open.snapshot(&self.core), open.parts()))
    }

    /// When it wants [`Input::Due`].
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match &self.phase {
            Phase::Opening(opening) => opening.deadline(),
            Phase::Open(open) => {
                let own = open.until.into_iter().chain(open.empty_until);
                own.chain(open.sound.deadline()).chain(open.children.deadline()).min()
            }
            Phase::Closing(closing) => closing.guard,
        }
    }

    /// Handles an input; none when that released the conference.
    pub(crate) fn handle(self, cx: &mut Context<'_>, input: Input) -> Option<Self> {
        let Self { core, phase } = self;
        let phase = match phase {
            Phase::Opening(opening) => opening.handle(&core, cx, input)?,
            Phase::Open(open) => open.handle(&core, cx, input),
            Phase::Closing(closing) => closing.handle(&core, cx, input)?,
        };
        Some(Self { core, phase })
    }
}

impl Open {
    fn begin(core: &Core, cx: &mut Context<'_>, construct: &Construct) -> Self {
        core.tell_room(cx, RoomCommand::Open { tells_talking: true });
        cx.node.conferences.insert(core.id);
        Self {
            members: BTreeMap::new(),
            threshold: construct.threshold,
            has_met: false,
            until: cx.deadline(construct.max),
            empty_until: cx.deadline(EMPTY_WITHIN),
            sound: Sound::default(),
            welcomes: Welcomes::default(),
            children: Children::default(),
        }
    }

    fn handle(mut self, core: &Core, cx: &mut Context<'_>, input: Input) -> Phase {
        match input {
            Input::Request { id, command } => return self.request(core, cx, id, command),
            Input::Dial { id, construct } => self.children.dial(core, cx, id, construct),
            Input::Notice(Notice::Child { child, news }) => self.children.hear(core, cx, child, news),
            Input::Notice(Notice::Entered { call, member, welcome }) => {
                self.enter(core, cx, call, member);
                self.welcomes.play(core, cx, call, welcome);
            }
            Input::Notice(Notice::Left { call }) => return self.leave(core, cx, call),
            Input::Room(RoomEvent::Talking { leg, talking }) => {
                let call = CallId(leg.0);
                if let Some(member) = self.members.get_mut(&call) {
                    member.talking = talking;
                    core.tell(cx, EventKind::Talking { call, talking });
                }
            }
            Input::Due if is_due(self.until, cx) => return self.release(core, cx, Over::MaxSeconds),
            Input::Due if is_due(self.empty_until, cx) => return self.release(core, cx, Over::Empty),
            Input::Shutdown => return self.release(core, cx, Over::ShuttingDown),
            Input::Room(event) => {
                if let RoomEvent::PlayEnded { action, .. } = event {
                    self.children.played(cx, action);
                    self.welcomes.played(action);
                }
                self.sound.hear(core, cx, &event);
            }
            Input::Disk(event) => {
                if let Some(event) = self.children.disk(cx, event) {
                    self.sound.disk(core, cx, event);
                }
            }
            Input::Due => {
                self.children.due(cx);
                self.sound.due(core, cx);
            }
        }
        Phase::Open(self)
    }

    fn request(mut self, core: &Core, cx: &mut Context<'_>, id: RequestId, command: Command) -> Phase {
        let result = match command {
            Command::Release => {
                cx.reply(id, Ok(Reply::Done));
                return self.release(core, cx, Over::Released);
            }
            Command::Kick { call, cause } => {
                if self.members.contains_key(&call) {
                    cx.reply(id, Ok(Reply::Done));
                    core.tell_room(cx, RoomCommand::Leave { leg: leg_of(call) });
                    cx.dismiss(call, Failure::Kicked { sip_status: cause });
                    return self.leave(core, cx, call);
                }
                Err(no_member())
            }
            Command::PlayStart { content, is_loop } => {
                self.sound.start_play(core, cx, id, content, is_loop);
                return Phase::Open(self);
            }
            Command::RecordStart { record, max } => {
                self.sound.start_record(core, cx, id, record, max);
                return Phase::Open(self);
            }
            Command::PlayStop => {
                self.sound.stop_play(core, cx);
                self.welcomes.stop(core, cx);
                Ok(Reply::Done)
            }
            Command::RecordStop => {
                self.sound.stop_record(core, cx);
                Ok(Reply::Done)
            }
            Command::Exists => Ok(Reply::Exists(true)),
            Command::Nop => {
                if self.members.is_empty() {
                    self.empty_until = cx.deadline(EMPTY_WITHIN);
                }
                Ok(Reply::Done)
            }
            Command::Get => Ok(Reply::Conference(Box::new(self.snapshot(core)))),
            Command::GetParts => Ok(Reply::Parts(self.parts())),
            Command::SetVoiceMode { call, mode } => self.change(core, cx, call, |member| member.mode = mode),
            Command::SetVolume { call, volume } => {
                self.change(core, cx, call, |member| member.volume = volume)
            }
            Command::SetThreshold { value } => {
                self.threshold = value;
                Ok(Reply::Done)
            }
        };
        cx.reply(id, result);
        Phase::Open(self)
    }

    fn snapshot(&self, core: &Core) -> Snapshot {
        Snapshot {
            conference: core.id,
            begin: core.begin,
            parts: self.members.len(),
            threshold: self.threshold,
            is_playing: self.sound.is_playing(),
            record_file: self.sound.record_file().map(str::to_owned),
            user_data: core.user_data.clone(),
        }
    }

    fn parts(&self) -> Vec<Part> {
        let part = |(&call, member): (&CallId, &Member)| {
            let Member { mode, volume, talking, ref user_data } = *member;
            Part { call, mode, volume, talking, user_data: user_data.clone() }
        };
        self.members.iter().map(part).collect()
    }

    /// Changes how a member takes part.
    fn change(
        &mut self,
        core: &Core,
        cx: &mut Context<'_>,
        call: CallId,
        change: impl FnOnce(&mut Member),
    ) -> Result<Reply, Error> {
        let member = self.members.get_mut(&call).ok_or_else(no_member)?;
        change(member);
        let (leg, voice) = (leg_of(call), member.voice());
        core.tell_room(cx, RoomCommand::SetVoice { leg, voice });
        Ok(Reply::Done)
    }

    fn enter(&mut self, core: &Core, cx: &mut Context<'_>, call: CallId, member: Member) {
        self.members.insert(call, member);
        self.empty_until = None;
        let parts = self.members.len();
        self.has_met |= parts > 1;
        // What it was stopped in for that is complete before it is in.
        core.tell_at_last(cx, EventKind::PartEntered { call, parts });
    }

    /// A member has gone, or is being sent away.
    fn leave(mut self, core: &Core, cx: &mut Context<'_>, call: CallId) -> Phase {
        if self.members.remove(&call).is_none() {
            return Phase::Open(self);
        }
        self.welcomes.leave(core, cx, call);
        let parts = self.members.len();
        core.tell(cx, EventKind::PartExited { call, parts });
        let too_few = usize::try_from(self.threshold).is_ok_and(|threshold| parts <= threshold);
        if self.has_met && too_few {
            return self.release(core, cx, Over::PartsThreshold);
        }
        if parts == 0 {
            self.empty_until = cx.deadline(EMPTY_WITHIN);
        }
        Phase::Open(self)
    }

    /// It is over for everybody.
    fn release(mut self, core: &Core, cx: &mut Context<'_>, reason: Over) -> Phase {
        while let Some((call, _)) = self.members.pop_first() {
            core.tell(cx, EventKind::PartExited { call, parts: self.members.len() });
            cx.dismiss(call, Failure::ConferenceReleased);
        }
        cx.node.conferences.remove(&core.id);
        self.children.end(core, cx);
        self.sound.end(core, cx);
        core.tell_room(cx, RoomCommand::Close);
        let (end, guard) = (cx.now.wall, cx.deadline(SETTLED_WITHIN));
        Phase::Closing(Closing { end, reason, guard, sound: self.sound, is_room_there: true })
    }
}

impl Closing {
    /// None when it has settled, or was waited for long enough.
    fn handle(mut self, core: &Core, cx: &mut Context<'_>, input: Input) -> Option<Phase> {
        match input {
            Input::Room(RoomEvent::Closed) => self.is_room_there = false,
            Input::Room(event) => self.sound.hear(core, cx, &event),
            Input::Disk(event) => self.sound.disk(core, cx, event),
            Input::Due if is_due(self.guard, cx) => {
                self.sound.give_up(core, cx);
                self.is_room_there = false;
            }
            _ => {}
        }
        if self.is_room_there || !self.sound.is_over() {
            return Some(Phase::Closing(self));
        }
        let span = Span { begin: core.begin, end: self.end };
        core.tell(cx, EventKind::Released { span, reason: self.reason });
        None
    }
}

fn no_member() -> Error {
    let expected = "a call that is in the conference".to_owned();
    Error::InvalidParam { param: "call_res_id", expected }
}
