//! Conf: the call is a member of a conference, until `conf_exit`, its time, a kick or the conference's end. The conference
//! knows its members, and a member its conference; they tell each other within the same step, so nobody ever sees one of
//! them alone.
//!
//! ```text
//!   start ─▶ the file for all is loaded ─▶ joined ─▶ over
//!            where there is one
//! ```
//! Until the disk has answered the call hears nobody and the request has no reply: what goes wrong there is an error in
//! it, and no event.

use std::sync::Arc;
use std::time::Instant;

use offhook_media::event::{self as media, Prompt, RoomCommand};

use crate::action::Pending;
use crate::call::ended::Cut;
use crate::call::idle::Idle;
use crate::call::{Core, Input, Phase, Step, Talk, is_due, pass_over};
use crate::cause::{Ending, Failure};
use crate::command::{Command, ConfEnter};
use crate::conference::{self, Member, Notice, room_of};
use crate::disk::{DiskEvent, DiskJob, JobId};
use crate::error::Error;
use crate::event::{EventKind, Span, UnixMs};
use crate::id::{ConferenceId, RequestId};
use crate::node::Context;
use crate::output::Reply;

/// A member of a conference.
#[derive(Debug)]
pub(crate) struct Conf {
    pub(crate) talk: Talk,
    stay: Stay,
    stage: Stage,
}

/// Where it is, and since when.
#[derive(Clone, Copy, Debug)]
struct Stay {
    conference: ConferenceId,
    begin: UnixMs,
}

/// How far it has come.
#[derive(Debug)]
enum Stage {
    /// What all are to hear is being loaded.
    Preparing { pending: Pending, enter: Box<ConfEnter> },
    /// It is in.
    Joined { until: Option<Instant> },
}

/// Asks the disk for what all are to hear; none where that is nothing.
pub(crate) fn ask(
    core: &Core,
    cx: &mut Context<'_>,
    request: RequestId,
    enter: &ConfEnter,
) -> Option<Pending> {
    let content = enter.welcome.clone()?;
    let question = DiskJob::LoadPrompts { sources: content.sources, codec: conference::PROMPTS };
    Some(Pending::ask(core, cx, request, "play_file", |_| question))
}

impl Conf {
    /// Lets a call wait for what all are to hear when it enters.
    pub(crate) fn prepare(talk: Talk, cx: &Context<'_>, pending: Pending, enter: Box<ConfEnter>) -> Step {
        let stay = Stay { conference: enter.conference, begin: cx.now.wall };
        let stage = Stage::Preparing { pending, enter };
        Step::to(Phase::Conf(Self { talk, stay, stage }))
    }

    /// Lets a call enter that does nothing else any more, if the conference is still there.
    pub(crate) fn start(
        talk: Talk,
        core: &Core,
        cx: &mut Context<'_>,
        request: RequestId,
        enter: &ConfEnter,
        welcome: Vec<Arc<Prompt>>,
    ) -> Step {
        let stay = Stay { conference: enter.conference, begin: cx.now.wall };
        if let Err(error) = stay.check(cx) {
            cx.reply(request, Err(error));
            return Step::to(Phase::Idle(Idle::new(talk, cx)));
        }
        cx.reply(request, Ok(Reply::Done));
        stay.join(talk, core, cx, enter, welcome)
    }

    /// The conference that it is in, or about to enter.
    pub(crate) fn conference(&self) -> ConferenceId {
        self.stay.conference
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        match &self.stage {
            Stage::Preparing { pending, .. } => pending.deadline(),
            Stage::Joined { until } => *until,
        }
    }

    pub(crate) fn handle(mut self, core: &Core, cx: &mut Context<'_>, input: Input) -> Step {
        match input {
            Input::Media(media::Event::Digit { key, .. }) => self.talk.typed.push(key),
            Input::Request { id, command: Command::ConfExit { conference, .. } } => {
                if conference != self.stay.conference {
                    let expected = "the conference that the call is in".to_owned();
                    cx.reply(id, Err(Error::InvalidParam { param: "conf_res_id", expected }));
                    return Step::to(Phase::Conf(self));
                }
                let step = self.exit(core, cx);
                cx.reply(id, Ok(Reply::Done));
                return step;
            }
            Input::Disk(DiskEvent::Prompts { job, result }) => {
                return self.loaded(core, cx, job, result.map_err(Error::from));
            }
            Input::Due => return self.due(core, cx),
            Input::Dismissed(why) => return self.stay.complete(self.talk, cx, Some(why)),
            other => pass_over(cx, other),
        }
        Step::to(Phase::Conf(self))
    }

    /// The disk has answered.
    fn loaded(
        self,
        core: &Core,
        cx: &mut Context<'_>,
        job: JobId,
        result: Result<Vec<Arc<Prompt>>, Error>,
    ) -> Step {
        let Self { talk, stay, stage } = self;
        let (pending, enter) = match stage {
            Stage::Preparing { pending, enter } if pending.job == job => (pending, enter),
            stage => return Step::to(Phase::Conf(Self { talk, stay, stage })),
        };
        match result.and_then(|prompts| stay.check(cx).map(|()| prompts)) {
            Err(error) => {
                pending.fail(cx, error);
                Step::to(Phase::Idle(Idle::new(talk, cx)))
            }
            Ok(prompts) => {
                pending.accept(cx, Reply::Done);
                stay.join(talk, core, cx, &enter, prompts)
            }
        }
    }

    /// It is asked to leave.
    fn exit(self, core: &Core, cx: &mut Context<'_>) -> Step {
        match self.stage {
            Stage::Preparing { pending, .. } => {
                pending.stop(cx, Reply::Done);
                self.stay.complete(self.talk, cx, None)
            }
            Stage::Joined { .. } => self.stay.leave(self.talk, core, cx, None),
        }
    }

    /// The time of its stage is over.
    fn due(self, core: &Core, cx: &mut Context<'_>) -> Step {
        let Self { talk, stay, stage } = self;
        match stage {
            Stage::Preparing { pending, .. } if pending.is_late(cx) => {
                pending.give_up(cx);
                Step::to(Phase::Idle(Idle::new(talk, cx)))
            }
            Stage::Joined { until } if is_due(until, cx) => {
                stay.leave(talk, core, cx, Some(Failure::MaxSeconds))
            }
            stage => Step::to(Phase::Conf(Self { talk, stay, stage })),
        }
    }

    /// The call is over; the removal of its leg takes it out of the room.
    pub(crate) fn cut(self, core: &Core, cx: &mut Context<'_>, ending: &Ending) -> (Talk, Cut) {
        let completion = match self.stage {
            Stage::Preparing { pending, .. } => {
                pending.overtake(core, cx);
                None
            }
            Stage::Joined { .. } => {
                cx.report(self.stay.conference, Notice::Left { call: core.id });
                Some(self.stay.completion(cx, Some(ending.cut_short())))
            }
        };
        (self.talk, Cut { completion, ..Cut::default() })
    }
}

impl Stay {
    /// Whether the conference can be entered.
    fn check(self, cx: &Context<'_>) -> Result<(), Error> {
        let conference = self.conference;
        let is_open = cx.node.conferences.contains(&conference);
        if is_open { Ok(()) } else { Err(Error::NoConference { conference }) }
    }

    /// It comes in.
    fn join(
        self,
        talk: Talk,
        core: &Core,
        cx: &mut Context<'_>,
        enter: &ConfEnter,
        welcome: Vec<Arc<Prompt>>,
    ) -> Step {
        let member = Member::new(enter.mode, enter.volume, core.user_data.clone());
        self.tell_room(cx, RoomCommand::Join { leg: core.leg(), voice: member.voice() });
        cx.report(self.conference, Notice::Entered { call: core.id, member, welcome });
        let stage = Stage::Joined { until: cx.deadline(enter.max) };
        Step::to(Phase::Conf(Conf { talk, stay: self, stage }))
    }

    /// It goes, and the conference does not know yet.
    fn leave(self, talk: Talk, core: &Core, cx: &mut Context<'_>, error: Option<Failure>) -> Step {
        self.tell_room(cx, RoomCommand::Leave { leg: core.leg() });
        cx.report(self.conference, Notice::Left { call: core.id });
        self.complete(talk, cx, error)
    }

    fn tell_room(self, cx: &mut Context<'_>, command: RoomCommand) {
        cx.media(media::Command::Room { room: room_of(self.conference), command });
    }

    fn complete(self, talk: Talk, cx: &Context<'_>, error: Option<Failure>) -> Step {
        Step::to(Phase::Idle(Idle::new(talk, cx))).telling(self.completion(cx, error))
    }

    fn completion(self, cx: &Context<'_>, error: Option<Failure>) -> EventKind {
        let span = Span { begin: self.begin, end: cx.now.wall };
        EventKind::ConfCompleted { error, conference: self.conference, span }
    }
}
