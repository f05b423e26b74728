//! Type-ahead: what a caller types who knows the menu by heart.

use std::collections::VecDeque;

use offhook_media::event::Key;

/// Keys that nobody was waiting for, until `receive_dtmf_start` asks for them.
#[derive(Debug, Default)]
pub(crate) struct TypeAhead(VecDeque<Key>);

impl TypeAhead {
    /// As many as the API promises to keep. When full the oldest goes: a caller who types on means the last keys.
    pub(crate) const CAPACITY: usize = 32;

    pub(crate) fn push(&mut self, key: Key) {
        if self.0.len() == Self::CAPACITY {
            self.0.pop_front();
        }
        self.0.push_back(key);
    }

    pub(crate) fn pop(&mut self) -> Option<Key> {
        self.0.pop_front()
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}
