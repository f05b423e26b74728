//! What all members hear when one enters (`conf_enter` with `play_file`). It is no action: nobody waits for its end, and it
//! ends with the stay of the member whose it is, by `sys.conf.play_stop`, or when too many are heard at once.

use std::collections::VecDeque;
use std::sync::Arc;

use offhook_media::event::{ActionId, Gain, Prompt, RoomCommand};

use super::Core;
use crate::id::CallId;
use crate::node::Context;

/// As many are heard at once: of more nobody could tell who has come. The oldest gives way, which is nearest to its end.
pub(super) const MAX_WELCOMES: usize = 4;

/// Those that are heard, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Welcomes(VecDeque<Welcome>);

#[derive(Debug)]
struct Welcome {
    of: CallId,
    action: ActionId,
}

impl Welcomes {
    /// All hear that a call has entered, by whatever there is to hear of that.
    pub(super) fn play(&mut self, core: &Core, cx: &mut Context<'_>, of: CallId, prompts: Vec<Arc<Prompt>>) {
        if prompts.iter().all(|prompt| prompt.is_empty()) {
            return;
        }
        if self.0.len() >= MAX_WELCOMES {
            self.0.pop_front().into_iter().for_each(|oldest| oldest.stop(core, cx));
        }
        let (action, gain) = (cx.new_action(), Gain::UNITY);
        core.tell_room(cx, RoomCommand::Play { action, prompts, repeat: 0, gain });
        self.0.push_back(Welcome { of, action });
    }

    /// The room has played something to its end, which may be one of them.
    pub(super) fn played(&mut self, action: ActionId) {
        self.0.retain(|welcome| welcome.action != action);
    }

    /// A call is no member any more.
    pub(super) fn leave(&mut self, core: &Core, cx: &mut Context<'_>, call: CallId) {
        self.0.iter().filter(|welcome| welcome.of == call).for_each(|welcome| welcome.stop(core, cx));
        self.0.retain(|welcome| welcome.of != call);
    }

    /// None of them is to be heard any more.
    pub(super) fn stop(&mut self, core: &Core, cx: &mut Context<'_>) {
        self.0.drain(..).for_each(|welcome| welcome.stop(core, cx));
    }
}

impl Welcome {
    fn stop(&self, core: &Core, cx: &mut Context<'_>) {
        core.tell_room(cx, RoomCommand::StopPlay { action: self.action });
    }
}
