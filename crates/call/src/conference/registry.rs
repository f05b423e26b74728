//! Conferences among the resources of a node: how they are found, begun and listed.

use std::ops::Bound;
use std::time::Instant;

use super::{Command, Conference, Construct, DialledCall, Input, Part, Snapshot};
use crate::error::Error;
use crate::id::{ConferenceId, RequestId, Resource};
use crate::node::Context;
use crate::output::Reply;
use crate::{Calls, Now};

/// A conference, and its entry among the deadlines.
#[derive(Debug)]
pub(crate) struct Entry {
    conference: Conference,
    deadline: Option<Instant>,
}

impl Entry {
    /// What is known of it and of its members, where calls can enter it.
    pub(crate) fn standing(&self) -> Option<(Snapshot, Vec<Part>)> {
        self.conference.standing()
    }
}

impl Calls {
    /// How many conferences there are that have not been released.
    pub fn conferences(&self) -> usize {
        self.conferences.len()
    }

    pub(crate) fn construct_conference(&mut self, now: Now, request: RequestId, construct: Construct) {
        let limit = self.node.config.max_conferences;
        let refusal = if self.gate.is_draining() {
            Some(Error::ShuttingDown)
        } else if self.conferences.len() >= limit {
            Some(Error::LimitReached { limit: "conferences", value: limit as u64 })
        } else {
            None
        };
        let id = ConferenceId(self.next_serial);
        let mut cx = self.context(now);
        if let Some(error) = refusal {
            return cx.reply(request, Err(error));
        }
        let conference = Conference::open(id, &mut cx, request, construct);
        self.next_serial += 1;
        self.keep_conference(conference);
    }

    /// One that is over is not named: nothing can be asked of it any more.
    pub(crate) fn list_conferences(&self, after: Option<ConferenceId>, limit: usize) -> Reply {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let conferences = self.conferences.range((from, Bound::Unbounded)).map(|(&id, _)| id);
        let open = conferences.filter(|id| self.node.conferences.contains(id));
        Reply::Conferences(open.take(limit).collect())
    }

    /// A conference is asked something.
    pub(crate) fn ask_conference(
        &mut self,
        now: Now,
        id: RequestId,
        conference: ConferenceId,
        command: Command,
    ) {
        let refusal = match command {
            Command::Exists => Ok(Reply::Exists(self.conferences.contains_key(&conference))),
            _ if !self.node.conferences.contains(&conference) => Err(Error::NoConference { conference }),
            command => match command.member().map(|call| self.find(call)) {
                Some(Err(unknown)) => Err(unknown),
                _ => return self.handle_conference(conference, now, Input::Request { id, command }),
            },
        };
        self.context(now).reply(id, refusal);
    }

    /// A call is to be dialled for a conference.
    pub(crate) fn dial_for_conference(
        &mut self,
        now: Now,
        id: RequestId,
        conference: ConferenceId,
        construct: Box<DialledCall>,
    ) {
        if self.node.conferences.contains(&conference) {
            return self.handle_conference(conference, now, Input::Dial { id, construct });
        }
        self.context(now).reply(id, Err(Error::NoConference { conference }));
    }

    /// One conference handles one input, and its members what they are told by that.
    pub(crate) fn handle_conference(&mut self, conference: ConferenceId, now: Now, input: Input) {
        self.step_conference(conference, now, input);
        self.deliver(now);
    }

    pub(crate) fn step_conference(&mut self, id: ConferenceId, now: Now, input: Input) {
        let Some(Entry { conference, deadline }) = self.conferences.remove(&id) else { return };
        if let Some(deadline) = deadline {
            self.deadlines.remove(&(deadline, Resource::Conference(id)));
        }
        let mut cx = Context { now, node: &mut self.node };
        if let Some(conference) = conference.handle(&mut cx, input) {
            self.keep_conference(conference);
        }
    }

    fn keep_conference(&mut self, conference: Conference) {
        let (id, deadline) = (conference.id(), conference.deadline());
        if let Some(deadline) = deadline {
            self.deadlines.insert((deadline, Resource::Conference(id)));
        }
        self.conferences.insert(id, Entry { conference, deadline });
    }
}
