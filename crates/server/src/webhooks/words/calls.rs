//! What a format has to know of calls from their former events, while they go on.

use std::collections::{BTreeMap, HashMap};

/// The most calls that are known; beyond, the one that began first is forgotten. More than `limits.calls` usually allows.
const CALLS_MAX: usize = 100_000;

/// Something of each call that goes on.
#[derive(Debug)]
pub(super) struct Calls<T> {
    /// With the event since which it is known.
    calls: HashMap<String, (u64, T)>,
    /// The same in the order of those events, of which each is the first of one call.
    order: BTreeMap<u64, String>,
}

impl<T> Default for Calls<T> {
    fn default() -> Self {
        Self { calls: HashMap::new(), order: BTreeMap::new() }
    }
}

impl<T> Calls<T> {
    pub(super) fn begin(&mut self, res_id: &str, seq: u64, what: T) {
        self.end(res_id);
        self.calls.insert(res_id.to_owned(), (seq, what));
        self.order.insert(seq, res_id.to_owned());
        if self.calls.len() > CALLS_MAX
            && let Some((_, oldest)) = self.order.pop_first()
        {
            self.calls.remove(&oldest);
        }
    }

    pub(super) fn get(&mut self, res_id: &str) -> Option<&mut T> {
        self.calls.get_mut(res_id).map(|(_, what)| what)
    }

    pub(super) fn end(&mut self, res_id: &str) -> Option<T> {
        let (seq, what) = self.calls.remove(res_id)?;
        self.order.remove(&seq);
        Some(what)
    }

    /// The first event of the call that has begun first.
    pub(super) fn since(&self) -> Option<u64> {
        self.order.first_key_value().map(|(seq, _)| *seq)
    }
}
