//! Conferences (`call-api.md` §5): resources of their own that calls enter and leave.
//!
//! ```text
//!   construct ─▶ open ◀─ members come and go
//!                 │  release · max_seconds · too few left · nobody for 180 s
//!                 ▼
//!              closing: members are Idle again; its room ends ─▶ on_released
//! ```
//! A conference is a room of the media engine and the list of its members. The action of a member is the call's own
//! (`action/conf.rs`); here it is known who is in, and how.

mod command;
mod event;
mod registry;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use offhook_media::event::{
    self as media, Codec, Gain, Prompt, RoomCommand, RoomEvent, RoomId, Voice, VoiceMode,
};

use crate::call::ended::SETTLED_WITHIN;
use crate::call::{is_due, leg_of};
use crate::cause::Failure;
pub use crate::conference::command::{Command, Construct};
pub use crate::conference::event::{Event, EventKind, Part, Snapshot};
pub(crate) use crate::conference::registry::Entry;
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
    /// Its room has news.
    Room(RoomEvent),
    /// A member has news.
    Notice(Notice),
    /// Its deadline has come.
    Due,
    /// The node ends.
    Shutdown,
}

/// What a call tells its conference.
#[derive(Debug)]
pub(crate) enum Notice {
    /// I am in, and this is to be heard by all.
    Entered { call: CallId, member: Member, welcome: Vec<Arc<Prompt>> },
    /// I am in no longer.
    Left { call: CallId },
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
        let (conference, time, user_data) = (self.id, cx.now.wall, self.user_data.clone());
        cx.output(Output::ConferenceEvent(Event { conference, time, user_data, kind }));
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
}

/// A conference that is over; its room goes.
#[derive(Debug)]
struct Closing {
    end: UnixMs,
    guard: Option<Instant>,
}

impl Conference {
    /// Opens one.
    pub(crate) fn open(
        id: ConferenceId,
        cx: &mut Context<'_>,
        request: RequestId,
        construct: Construct,
    ) -> Self {
        let Construct { max, threshold, user_data } = construct;
        let core = Core { id, begin: cx.now.wall, user_data };
        core.tell_room(cx, RoomCommand::Open { tells_talking: true });
        cx.node.conferences.insert(id);
        cx.reply(request, Ok(Reply::ConferenceConstructed(id)));
        let (until, empty_until) = (cx.deadline(max), cx.deadline(EMPTY_WITHIN));
        let open = Open { members: BTreeMap::new(), threshold, has_met: false, until, empty_until };
        Self { core, phase: Phase::Open(open) }
    }

    pub(crate) fn id(&self) -> ConferenceId {
        self.core.id
    }

    /// When it wants [`Input::Due`].
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match &self.phase {
            Phase::Open(open) => open.until.into_iter().chain(open.empty_until).min(),
            Phase::Closing(closing) => closing.guard,
        }
    }

    /// Handles an input; none when that released the conference.
    pub(crate) fn handle(self, cx: &mut Context<'_>, input: Input) -> Option<Self> {
        let Self { core, phase } = self;
        let phase = match phase {
            Phase::Open(open) => open.handle(&core, cx, input),
            Phase::Closing(closing) => closing.handle(&core, cx, &input)?,
        };
        Some(Self { core, phase })
    }
}

impl Open {
    fn handle(mut self, core: &Core, cx: &mut Context<'_>, input: Input) -> Phase {
        match input {
            Input::Request { id, command } => return self.request(core, cx, id, command),
            Input::Notice(Notice::Entered { call, member, welcome }) => {
                self.enter(core, cx, call, member);
                if !welcome.iter().all(|prompt| prompt.is_empty()) {
                    let (action, gain) = (cx.new_action(), Gain::UNITY);
                    let play = RoomCommand::Play { action, prompts: welcome, repeat: 0, gain };
                    core.tell_room(cx, play);
                }
            }
            Input::Notice(Notice::Left { call }) => return self.leave(core, cx, call),
            Input::Room(RoomEvent::Talking { leg, talking }) => {
                let call = CallId(leg.0);
                if let Some(member) = self.members.get_mut(&call) {
                    member.talking = talking;
                    core.tell(cx, EventKind::Talking { call, talking });
                }
            }
            Input::Due if is_due(self.until, cx) || is_due(self.empty_until, cx) => {
                return self.release(core, cx);
            }
            Input::Shutdown => return self.release(core, cx),
            Input::Room(_) | Input::Due => {}
        }
        Phase::Open(self)
    }

    fn request(mut self, core: &Core, cx: &mut Context<'_>, id: RequestId, command: Command) -> Phase {
        let result = match command {
            Command::Release => {
                cx.reply(id, Ok(Reply::Done));
                return self.release(core, cx);
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
        let user_data = core.user_data.clone();
        let (parts, threshold) = (self.members.len(), self.threshold);
        Snapshot { conference: core.id, begin: core.begin, parts, threshold, user_data }
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
        core.tell(cx, EventKind::PartEntered { call, parts });
    }

    /// A member has gone, or is being sent away.
    fn leave(mut self, core: &Core, cx: &mut Context<'_>, call: CallId) -> Phase {
        if self.members.remove(&call).is_none() {
            return Phase::Open(self);
        }
        let parts = self.members.len();
        core.tell(cx, EventKind::PartExited { call, parts });
        let too_few = usize::try_from(self.threshold).is_ok_and(|threshold| parts <= threshold);
        if self.has_met && too_few {
            return self.release(core, cx);
        }
        if parts == 0 {
            self.empty_until = cx.deadline(EMPTY_WITHIN);
        }
        Phase::Open(self)
    }

    /// It is over for everybody.
    fn release(mut self, core: &Core, cx: &mut Context<'_>) -> Phase {
        while let Some((call, _)) = self.members.pop_first() {
            core.tell(cx, EventKind::PartExited { call, parts: self.members.len() });
            cx.dismiss(call, Failure::ConferenceReleased);
        }
        cx.node.conferences.remove(&core.id);
        core.tell_room(cx, RoomCommand::Close);
        Phase::Closing(Closing { end: cx.now.wall, guard: cx.deadline(SETTLED_WITHIN) })
    }
}

impl Closing {
    /// None when it has settled, or was waited for long enough.
    fn handle(self, core: &Core, cx: &mut Context<'_>, input: &Input) -> Option<Phase> {
        let is_over = match input {
            Input::Room(RoomEvent::Closed) => true,
            Input::Due => is_due(self.guard, cx),
            _ => false,
        };
        if !is_over {
            return Some(Phase::Closing(self));
        }
        core.tell(cx, EventKind::Released { span: Span { begin: core.begin, end: self.end } });
        None
    }
}

fn no_member() -> Error {
    let expected = "a call that is in the conference".to_owned();
    Error::InvalidParam { param: "call_res_id", expected }
}
