//! Connect: two calls hear each other. The first party has the action and its completion; the second is bound by it.
//! The two tell each other by [`Notice`], which is delivered within the same step, so nobody ever sees one of them
//! connected alone.

use std::time::{Duration, Instant};

use offhook_media::event::{self as media, ConnectMode};

use crate::admit::Role;
use crate::call::ended::Cut;
use crate::call::idle::Idle;
use crate::call::{Core, Input, Phase, Step, Talk, is_due, leg_of, pass_over};
use crate::cause::{Ending, Failure};
use crate::command::Command;
use crate::event::{EventKind, Span, UnixMs};
use crate::id::{CallId, RequestId};
use crate::node::Context;
use crate::output::Reply;

/// What one party tells the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Notice {
    /// To the second: you are connected with me.
    Joined { first: CallId },
    /// To the second: we are connected no longer.
    Parted,
    /// To the first: I was hung up.
    Gone,
}

/// What was asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wish {
    pub(crate) mode: ConnectMode,
    pub(crate) max: Duration,
    pub(crate) mute_digits: bool,
}

/// A party of a connection.
#[derive(Debug)]
pub(crate) struct Connect {
    pub(crate) talk: Talk,
    party: Party,
}

/// Which of the two.
#[derive(Clone, Copy, Debug)]
enum Party {
    First { second: CallId, begin: UnixMs, until: Option<Instant> },
    Second { first: CallId },
}

impl Connect {
    /// Connects a call with another, of which it is known that it is Idle.
    pub(crate) fn start(
        talk: Talk,
        core: &Core,
        cx: &mut Context<'_>,
        request: RequestId,
        second: CallId,
        Wish { mode, max, mute_digits }: Wish,
    ) -> Step {
        let (first, leg) = (core.leg(), leg_of(second));
        cx.media(media::Command::Connect { first, second: leg, mode, mute_digits });
        cx.notify(second, Notice::Joined { first: core.id });
        cx.reply(request, Ok(Reply::Done));
        let party = Party::First { second, begin: cx.now.wall, until: cx.deadline(max) };
        Step::to(Phase::Connect(Self { talk, party }))
    }

    /// Becomes the second party.
    pub(crate) fn join(talk: Talk, first: CallId) -> Step {
        Step::to(Phase::Connect(Self { talk, party: Party::Second { first } }))
    }

    pub(crate) fn role(&self) -> Role {
        match self.party {
            Party::First { .. } => Role::Own,
            Party::Second { .. } => Role::SecondParty,
        }
    }

    /// The other party.
    pub(crate) fn other(&self) -> CallId {
        match self.party {
            Party::First { second: other, .. } | Party::Second { first: other } => other,
        }
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        match self.party {
            Party::First { until, .. } => until,
            Party::Second { .. } => None,
        }
    }

    pub(crate) fn handle(mut self, core: &Core, cx: &mut Context<'_>, input: Input) -> Step {
        match (self.party, input) {
            (
                Party::First { second, begin, .. },
                Input::Request { id, command: Command::ConnectStop { .. } },
            ) => {
                let step = self.part(core, cx, second, begin, None);
                cx.reply(id, Ok(Reply::Done));
                return step;
            }
            (Party::First { second, begin, until }, Input::Due) if is_due(until, cx) => {
                return self.part(core, cx, second, begin, Some(Failure::MaxSeconds));
            }
            (Party::First { second, begin, .. }, Input::Notice(Notice::Gone)) => {
                let completion = completion(cx, begin, Some(Failure::Hangup), Some(second));
                return Step::to(Phase::Idle(Idle::new(self.talk, cx))).telling(completion);
            }
            (Party::Second { .. }, Input::Notice(Notice::Parted)) => {
                return Step::to(Phase::Idle(Idle::new(self.talk, cx)));
            }
            (_, Input::Media(media::Event::Digit { key, .. })) => self.talk.typed.push(key),
            (_, other) => pass_over(cx, other),
        }
        Step::to(Phase::Connect(self))
    }

    /// Ends the connection; both calls go on.
    fn part(
        self,
        core: &Core,
        cx: &mut Context<'_>,
        second: CallId,
        begin: UnixMs,
        error: Option<Failure>,
    ) -> Step {
        cx.media(media::Command::Disconnect { first: core.leg(), second: leg_of(second) });
        cx.notify(second, Notice::Parted);
        Step::to(Phase::Idle(Idle::new(self.talk, cx))).telling(completion(cx, begin, error, None))
    }

    /// The call is over, and with it the connection: the removal of its leg ends that too.
    pub(crate) fn cut(self, core: &Core, cx: &mut Context<'_>, ending: &Ending) -> (Talk, Cut) {
        let completion = match self.party {
            Party::First { second, begin, .. } => {
                cx.notify(second, Notice::Parted);
                Some(completion(cx, begin, Some(ending.cut_short()), Some(core.id)))
            }
            Party::Second { first } => {
                cx.notify(first, Notice::Gone);
                None
            }
        };
        (self.talk, Cut { completion, ..Cut::default() })
    }
}

fn completion(cx: &Context<'_>, begin: UnixMs, error: Option<Failure>, hangup: Option<CallId>) -> EventKind {
    EventKind::ConnectCompleted { error, span: Span { begin, end: cx.now.wall }, hangup }
}
