//! The groups of the node by their names, and who is in them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use dashmap::DashMap;
use tokio::sync::{Notify, watch};

use super::Entry;
use super::group::{Group, MemberId, Takeover};
use crate::clock;

/// The most groups that are known. Those whom all have left are forgotten first, when what they have not read is not kept any
/// more.
pub const GROUPS_MAX: usize = 1_000;

/// All groups.
#[derive(Debug, Default)]
pub struct Groups {
    groups: DashMap<String, Shared>,
    /// Some may be deserted now, or at another time.
    changed: Notify,
}

/// Calls and conferences of a group that nobody has come for.
#[derive(Debug)]
pub struct Deserted {
    /// The group.
    pub group: String,
    /// What its members had constructed or answered.
    pub res_ids: Vec<String>,
}

#[derive(Debug, Default)]
struct Shared {
    group: Group,
    /// Something may have to be taken over.
    news: watch::Sender<()>,
}

impl Groups {
    /// Lets a subscriber into a group, which is made where there is none: its membership, and after which event it has to read.
    /// `after` is for the first one of a group; `hangup_after` is how long calls may go on where all have left. None where there are
    /// too many groups; `oldest` is the oldest event that is kept.
    pub fn join(
        self: &Arc<Self>,
        name: &str,
        connection: usize,
        (after, hangup_after): (u64, Option<Duration>),
        oldest: u64,
    ) -> Option<(Membership, u64)> {
        if self.groups.len() >= GROUPS_MAX && !self.groups.contains_key(name) {
            let some_use = |group: &Group| {
                !group.is_empty() || group.frontier() >= oldest || group.poll_timeout().is_some()
            };
            self.groups.retain(|_, shared| some_use(&shared.group));
            if self.groups.len() >= GROUPS_MAX {
                return None;
            }
        }
        let mut shared = self.groups.entry(name.to_owned()).or_default();
        let (id, start) = shared.group.join(connection, after, hangup_after);
        let news = shared.news.subscribe();
        Some((Membership { groups: self.clone(), name: name.to_owned(), id, news }, start))
    }

    /// A resource was constructed or answered over a connection: it is of the members there.
    pub fn claim(&self, connection: usize, res_id: &str) {
        self.groups.iter_mut().for_each(|mut shared| shared.group.claim(connection, res_id));
        // The answer to somebody who has left may be too late.
        self.changed.notify_one();
    }

    /// Waits until there is something that nobody has come for in time.
    pub async fn deserted(&self) -> Vec<Deserted> {
        loop {
            let now = clock::now().mono;
            let (mut deserted, mut next) = (Vec::new(), None::<Instant>);
            for mut shared in self.groups.iter_mut() {
                let res_ids = shared.group.deserted(now);
                if !res_ids.is_empty() {
                    deserted.push(Deserted { group: shared.key().clone(), res_ids });
                }
                next = next.into_iter().chain(shared.group.poll_timeout()).min();
            }
            if !deserted.is_empty() {
                return deserted;
            }
            tokio::select! {
                () = self.changed.notified() => {}
                () = until(next) => {}
            }
        }
    }

    /// The members of a connection are done with everything up to `seq`. Gives how many they are.
    pub fn ack(&self, connection: usize, seq: u64) -> usize {
        self.groups.iter_mut().map(|mut shared| shared.group.ack(connection, seq)).sum()
    }
}

/// One subscriber's place in a group, which it leaves when this is dropped.
#[derive(Debug)]
pub struct Membership {
    groups: Arc<Groups>,
    name: String,
    id: MemberId,
    news: watch::Receiver<()>,
}

impl Membership {
    /// An event was read; tells whether it is this subscriber's.
    pub fn read(&self, entry: &Entry) -> bool {
        let Some(mut shared) = self.groups.groups.get_mut(&self.name) else { return false };
        shared.group.read(self.id, entry.seq, entry.res_id().as_deref(), entry.is_last())
    }

    /// What has to be read once more first.
    pub fn takeover(&mut self) -> Option<Takeover> {
        self.news.mark_unchanged();
        self.groups.groups.get_mut(&self.name)?.group.takeover(self.id)
    }

    /// Waits until there may be something to take over.
    pub async fn changed(&mut self) {
        // The sender is there as long as the group is, and that as long as it has members.
        let _ = self.news.changed().await;
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        if let Some(mut shared) = self.groups.groups.get_mut(&self.name) {
            shared.group.leave(clock::now().mono, self.id);
            shared.news.send_replace(());
            self.groups.changed.notify_one();
        }
    }
}

/// Waits until then: for ever, without a time.
async fn until(then: Option<Instant>) {
    match then {
        Some(then) => tokio::time::sleep_until(then.into()).await,
        None => std::future::pending().await,
    }
}
