//! The calls that are dialled for a conference (`construct` with `parent_conf_res_id`), each heard by all members as a call
//! that is dialled for another is heard by that one ([`Dialled`]). When it is answered it is nobody's: it enters by
//! `conf_enter` like any other.
//!
//! ```text
//!   construct ─▶ file and tone are loaded ─▶ it is placed ─▶ [the file, once] ─▶ dialling ─▶ answered, or not to be
//! ```
//! One is heard at a time, since nobody could tell one ring-back from another: the first that has something to be heard, for as
//! long as it has, and then the next. An announcement silences the others, as its call waits for its end.
//!
//! They are no members: they neither keep a conference from being over, nor count among those who are left. If it is over
//! while they are dialled they are cancelled, as by a caller that hangs up.

use std::time::Instant;

use offhook_media::event::{ActionId, MAX_PLAYS};

use super::welcomes::MAX_WELCOMES;
use super::{Core, PROMPTS, room_of};
use crate::action::Pending;
use crate::action::dialled::{Dialled, Ear, Ring};
use crate::action::notice::{self, News};
use crate::command::Construct;
use crate::disk::DiskEvent;
use crate::error::Error;
use crate::id::{CallId, RequestId};
use crate::node::{Context, Letter};

/// Calls that are dialled for one conference at a time: each may have an announcement, and a room plays only so much
/// ([`RoomCommand::Play`]).
///
/// [`RoomCommand::Play`]: offhook_media::event::RoomCommand::Play
const MAX_CHILDREN: usize = 8;

// Each kind of what a room plays has its own places, so that none takes those of another: a background, a `play_start`, what is
// heard when members enter, and what of calls that are dialled.
const _: () = assert!(1 + 1 + MAX_WELCOMES + MAX_CHILDREN <= MAX_PLAYS);

/// All of them, in the order of their requests.
#[derive(Debug, Default)]
pub(super) struct Children(Vec<Child>);

/// How far one has come.
#[derive(Debug)]
enum Child {
    /// What may be heard of it is being loaded.
    Loading { pending: Pending, construct: Box<Construct> },
    /// It is being placed, within this very step: so there is one at most.
    Placing(Ring),
    /// It is there.
    Dialling(Dialled),
}

impl Children {
    /// Begins with one more.
    pub(super) fn dial(
        &mut self,
        core: &Core,
        cx: &mut Context<'_>,
        request: RequestId,
        construct: Box<Construct>,
    ) {
        if self.0.len() >= MAX_CHILDREN {
            let value = MAX_CHILDREN as u64;
            return cx.reply(request, Err(Error::LimitReached { limit: "conference_dials", value }));
        }
        let question = Ring::question(cx, construct.parent.as_ref(), PROMPTS);
        let pending = Pending::ask(core.id, cx, request, "ring_play_file", |_| question);
        self.0.push(Child::Loading { pending, construct });
    }

    /// When one wants to be told that time has passed.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.0.iter().filter_map(|child| child.pending().and_then(Pending::deadline)).min()
    }

    /// The disk has news; gives back what is not for it.
    pub(super) fn disk(&mut self, cx: &mut Context<'_>, event: DiskEvent) -> Option<DiskEvent> {
        let DiskEvent::Prompts { job, result } = event else { return Some(event) };
        let is_answer = |child: &Child| child.pending().is_some_and(|pending| pending.job == job);
        let Some(index) = self.0.iter().position(is_answer) else {
            return Some(DiskEvent::Prompts { job, result });
        };
        let Child::Loading { pending, construct } = self.0.remove(index) else { return None };
        match result {
            Err(fault) => pending.fail(cx, fault.into()),
            Ok(prompts) => {
                self.0.insert(index, Child::Placing(Ring::of(construct.parent.as_ref(), prompts)));
                cx.node.letters.push_back(Letter::Place { request: pending.into_request(), construct });
            }
        }
        None
    }

    /// One has news.
    pub(super) fn hear(&mut self, core: &Core, cx: &mut Context<'_>, child: CallId, news: News) {
        let is_it = |other: &Child| match other {
            Child::Loading { .. } => false,
            Child::Placing(_) => matches!(news, News::Placed | News::NotPlaced),
            Child::Dialling(dialled) => dialled.child == child,
        };
        let Some(index) = self.0.iter().position(is_it) else { return };
        match (self.0.remove(index), news) {
            (Child::Placing(ring), News::Placed) => {
                let dialled = Dialled::begin(Ear::Room(room_of(core.id)), cx, child, ring);
                self.0.insert(index, Child::Dialling(dialled));
            }
            (Child::Dialling(mut dialled), News::FarEnd(far_end)) => {
                dialled.set_far_end(far_end);
                self.0.insert(index, Child::Dialling(dialled));
            }
            (Child::Dialling(mut dialled), News::Answered) => dialled.hush(cx),
            (Child::Dialling(dialled), News::Failed) => dialled.fail(cx),
            // It could not be placed.
            _ => {}
        }
        self.sound(cx);
    }

    /// Lets the one be heard whose turn it is.
    fn sound(&mut self, cx: &mut Context<'_>) {
        let first = |is_it: fn(&Dialled) -> bool| {
            self.0.iter().position(|child| matches!(child, Child::Dialling(dialled) if is_it(dialled)))
        };
        let turn = first(Dialled::announces)
            .or_else(|| first(|dialled| dialled.is_heard() && dialled.has_sound()))
            .or_else(|| first(Dialled::has_sound));
        for (index, child) in self.0.iter_mut().enumerate() {
            if let Child::Dialling(dialled) = child
                && Some(index) != turn
                && !dialled.announces()
            {
                dialled.hush(cx);
            }
        }
        if let Some(Child::Dialling(dialled)) = turn.and_then(|turn| self.0.get_mut(turn)) {
            dialled.sound(cx);
        }
    }

    /// The room has played something to its end, which may be of one of them.
    pub(super) fn played(&mut self, cx: &mut Context<'_>, action: ActionId) {
        let is_played = |child: &mut Child| match child {
            Child::Dialling(dialled) => dialled.played(cx, action),
            Child::Loading { .. } | Child::Placing(_) => false,
        };
        if self.0.iter_mut().any(is_played) {
            self.sound(cx);
        }
    }

    /// Time has passed.
    pub(super) fn due(&mut self, cx: &mut Context<'_>) {
        for child in std::mem::take(&mut self.0) {
            match child {
                Child::Loading { pending, .. } if pending.is_late(cx) => pending.give_up(cx),
                child => self.0.push(child),
            }
        }
    }

    /// The conference is over.
    pub(super) fn end(&mut self, core: &Core, cx: &mut Context<'_>) {
        for child in self.0.drain(..) {
            match child {
                Child::Loading { pending, .. } => pending.overtake(core.id, cx),
                Child::Placing(_) => {}
                Child::Dialling(dialled) => cx.notify(dialled.child, notice::Notice::Orphaned),
            }
        }
    }
}

impl Child {
    fn pending(&self) -> Option<&Pending> {
        match self {
            Self::Loading { pending, .. } => Some(pending),
            Self::Placing(_) | Self::Dialling(_) => None,
        }
    }
}
