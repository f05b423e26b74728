//! Subscribers of one name share the work (`call-api.md` §2): every call and every conference goes to one of them, with all
//! its events; when that one leaves, to another, again from the last event that it has acknowledged.
//!
//! ```text
//!   log  17a 18b 19a 20c 21b        a, b, c: resources
//!   one  17a     19a                a and c are one's, b is the other's
//!   other    18b         21b        one leaves, having acknowledged 17:
//!                                   other takes over a after 17, and c: 19a 20c, then goes on
//! ```
//! Every member reads the log with a cursor of its own and asks here which events are its own; nobody waits for a slow one. What is
//! new is given to the member with the fewest resources among those that have not read past it. A group that all have left
//! keeps its place and its resources for who comes next.
//!
//! Whoever constructs or answers a call has taken it on. A member may say how long such calls may go on when all have left:
//! then they are to be hung up, unless somebody has come for them ([`Group::deserted`]).

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

/// A member of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct MemberId(u64);

/// The most resources that a group knows. More than the node can have at a time: the rest are released ones that nobody has
/// acknowledged, of which the oldest go first and are not told again.
const RESOURCES_MAX: usize = 100_000;

/// The connections that are remembered after they have left. What they asked for last may be answered only then, and is theirs all the
/// same: an answer waits half a minute for its ACK, and nobody makes so many connections in that time.
const LEFT_MAX: usize = 64;

/// Resources that a member has taken over: it has to read their events after `after` up to `to` once more, and will meet the later
/// ones by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Takeover {
    /// The resources.
    pub res_ids: HashSet<String>,
    /// The last event that whoever had them has acknowledged.
    pub after: u64,
    /// How far the member has read.
    pub to: u64,
}

#[derive(Debug)]
struct Member {
    /// The connection that it came by.
    connection: usize,
    /// How long the calls that were taken on may go on where it is the last one that leaves; none: as long as they do.
    hangup_after: Option<Duration>,
    /// Everything up to here is done with, but for what it has taken over.
    acked: u64,
    /// How far it has read.
    seen: u64,
    /// How many resources it has that are not released.
    live: usize,
    /// Its released resources, by their last events.
    released: BTreeMap<u64, String>,
    /// What it has taken over and has acknowledged no later event than that; and whether it has begun to read it.
    takeovers: Vec<(Takeover, bool)>,
}

#[derive(Debug)]
struct Resource {
    owner: Option<MemberId>,
    /// Without an owner: what the last one had acknowledged.
    acked: u64,
    /// Its last event, where that has been read.
    released: Option<u64>,
    /// Whether a member has constructed or answered it, and it has not been hung up for want of members.
    taken_on: bool,
}

/// A group.
#[derive(Debug, Default)]
pub(super) struct Group {
    members: BTreeMap<MemberId, Member>,
    resources: HashMap<String, Resource>,
    joined: u64,
    /// The furthest that any member has read. What is not known of up to here is done with.
    frontier: u64,
    /// Without any member: how long they may go on.
    until: Option<Instant>,
    /// The connections of those that have left, the last ones.
    left: VecDeque<usize>,
}

impl Group {
    /// A member begins; gives after which event it has to read. The first one of all begins after `after`, any other where the group
    /// has come to: what nobody has read yet must not be passed over, whoever goes next.
    pub(super) fn join(
        &mut self,
        connection: usize,
        after: u64,
        hangup_after: Option<Duration>,
    ) -> (MemberId, u64) {
        self.until = None;
        let start = if self.joined == 0 { after } else { self.frontier };
        let is_first = self.members.is_empty();
        self.joined += 1;
        let id = MemberId(self.joined);
        let (released, takeovers) = (BTreeMap::new(), Vec::new());
        let (acked, seen) = (start, start);
        self.members
            .insert(id, Member { connection, hangup_after, acked, seen, live: 0, released, takeovers });
        self.frontier = start;
        if is_first {
            self.hand_over();
        }
        (id, start)
    }

    /// Whether nobody is in it.
    pub(super) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// How far it has come.
    pub(super) fn frontier(&self) -> u64 {
        self.frontier
    }

    /// A member has read an event, of a resource or of none; tells whether it is this member's to hear. `last` says that nothing
    /// follows of the resource.
    pub(super) fn read(&mut self, id: MemberId, seq: u64, res_id: Option<&str>, last: bool) -> bool {
        let Some(member) = self.members.get_mut(&id) else { return false };
        member.seen = member.seen.max(seq);
        let is_new = seq > self.frontier;
        self.frontier = self.frontier.max(seq);
        let Some(res_id) = res_id else { return true };
        if is_new && !self.resources.contains_key(res_id) {
            self.own(self.idlest(|other, member| other == id || member.seen < seq).unwrap_or(id), res_id);
        }
        let Some(resource) = self.resources.get_mut(res_id) else { return false };
        let owner = resource.owner;
        if last
            && resource.released.replace(seq).is_none()
            && let Some(owner) = owner.and_then(|owner| self.members.get_mut(&owner))
        {
            owner.live = owner.live.saturating_sub(1);
            owner.released.insert(seq, res_id.to_owned());
        }
        owner == Some(id)
    }

    /// A resource was constructed or answered over a connection that has a member here, or had one: it is that one's, unless it is
    /// somebody's already.
    pub(super) fn claim(&mut self, connection: usize, res_id: &str) {
        let member = self.members.iter().find(|(_, member)| member.connection == connection);
        let member = member.map(|(id, _)| *id);
        if member.is_none() && !self.left.contains(&connection) {
            return;
        }
        if !self.resources.contains_key(res_id) {
            match member.or_else(|| self.idlest(|_, _| true)) {
                Some(id) => self.own(id, res_id),
                None => self.keep(res_id),
            }
        }
        if let Some(resource) = self.resources.get_mut(res_id) {
            resource.taken_on = true;
        }
    }

    /// The members of a connection are done with everything up to `seq`. Gives how many they are.
    pub(super) fn ack(&mut self, connection: usize, seq: u64) -> usize {
        let of_it = self.members.values_mut().filter(|member| member.connection == connection);
        let mut count = 0;
        for member in of_it {
            count += 1;
            let acked = member.acked.max(seq.min(member.seen));
            member.acked = acked;
            // Only an event that came after what was taken over says that this is done with too: its own numbers are lower than
            // those that were acknowledged before.
            member.takeovers.retain(|(takeover, begun)| !begun || takeover.to >= acked);
            let later = member.released.split_off(&(acked + 1));
            for (seq, res_id) in std::mem::replace(&mut member.released, later) {
                if member.takeovers.iter().any(|(takeover, _)| takeover.res_ids.contains(&res_id)) {
                    member.released.insert(seq, res_id);
                } else {
                    self.resources.remove(&res_id);
                }
            }
        }
        count
    }

    /// A member is gone; the others have its resources now.
    pub(super) fn leave(&mut self, now: Instant, id: MemberId) {
        let Some(member) = self.members.remove(&id) else { return };
        let Member { connection, hangup_after, acked, takeovers, .. } = member;
        if self.left.len() == LEFT_MAX {
            self.left.pop_front();
        }
        self.left.push_back(connection);
        if self.members.is_empty() {
            self.until = hangup_after.map(|patience| now + patience);
        }
        let taken_over = |res_id: &String| {
            let mut of_it = takeovers.iter().filter(|(takeover, _)| takeover.res_ids.contains(res_id));
            of_it.next().map(|(takeover, _)| takeover.after)
        };
        for (res_id, resource) in &mut self.resources {
            if resource.owner == Some(id) {
                resource.owner = None;
                resource.acked = taken_over(res_id).unwrap_or(acked);
            }
        }
        self.hand_over();
    }

    /// What a member has to read once more, before it goes on.
    pub(super) fn takeover(&mut self, id: MemberId) -> Option<Takeover> {
        let takeovers = &mut self.members.get_mut(&id)?.takeovers;
        let (takeover, begun) = takeovers.iter_mut().find(|(_, begun)| !begun)?;
        *begun = true;
        Some(takeover.clone())
    }

    /// When [`Self::deserted`] should be asked.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.until.filter(|_| self.resources.values().any(Resource::is_in_hand))
    }

    /// The resources that nobody has come for in time, each once.
    pub(super) fn deserted(&mut self, now: Instant) -> Vec<String> {
        if self.until.is_none_or(|until| now < until) {
            return Vec::new();
        }
        let in_hand = self.resources.iter_mut().filter(|(_, resource)| resource.is_in_hand());
        let mut deserted: Vec<_> = in_hand
            .map(|(res_id, resource)| {
                resource.taken_on = false;
                res_id.clone()
            })
            .collect();
        deserted.sort_unstable();
        deserted
    }

    /// Gives what has no owner to the members, each in its turn to the one that has least.
    fn hand_over(&mut self) {
        let orphans = self.resources.iter().filter(|(_, resource)| resource.owner.is_none());
        let mut orphans: Vec<_> = orphans.map(|(res_id, _)| res_id.clone()).collect();
        orphans.sort_unstable();
        for res_id in orphans {
            let Some(id) = self.idlest(|_, _| true) else { return };
            let (Some(resource), Some(member)) = (self.resources.get_mut(&res_id), self.members.get_mut(&id))
            else {
                continue;
            };
            resource.owner = Some(id);
            match resource.released {
                Some(seq) => _ = member.released.insert(seq, res_id.clone()),
                None => member.live += 1,
            }
            let (after, to) = (resource.acked, member.seen);
            if after >= to {
                // It will meet all of its events by itself.
                continue;
            }
            let same =
                |(other, begun): &&mut (Takeover, bool)| !begun && (other.after, other.to) == (after, to);
            match member.takeovers.iter_mut().find(same) {
                Some((takeover, _)) => _ = takeover.res_ids.insert(res_id),
                None => {
                    let res_ids = HashSet::from([res_id]);
                    member.takeovers.push((Takeover { res_ids, after, to }, false));
                }
            }
        }
    }

    /// The member with the fewest resources of those that can have more.
    fn idlest(&self, can: impl Fn(MemberId, &Member) -> bool) -> Option<MemberId> {
        let can = self.members.iter().filter(|(id, member)| can(**id, member));
        can.min_by_key(|(id, member)| (member.live, **id)).map(|(id, _)| *id)
    }

    fn own(&mut self, id: MemberId, res_id: &str) {
        if let Some(member) = self.members.get_mut(&id) {
            member.live += 1;
        }
        self.insert(res_id, Resource { owner: Some(id), acked: 0, released: None, taken_on: false });
    }

    /// Keeps a new resource for who comes next, who will meet all of its events.
    fn keep(&mut self, res_id: &str) {
        self.insert(res_id, Resource { owner: None, acked: self.frontier, released: None, taken_on: false });
    }

    fn insert(&mut self, res_id: &str, resource: Resource) {
        if self.resources.len() >= RESOURCES_MAX {
            self.forget_one();
        }
        self.resources.insert(res_id.to_owned(), resource);
    }

    /// Forgets the released resource that has waited longest to be acknowledged.
    fn forget_one(&mut self) {
        let oldest = self.members.values_mut().filter(|member| !member.released.is_empty());
        let oldest = oldest.min_by_key(|member| member.released.keys().next().copied());
        if let Some((_, res_id)) = oldest.and_then(|member| member.released.pop_first()) {
            self.resources.remove(&res_id);
        }
    }
}

impl Resource {
    /// Whether a member has taken it on and it lives.
    fn is_in_hand(&self) -> bool {
        self.taken_on && self.released.is_none()
    }
}

#[cfg(test)]
mod tests;
