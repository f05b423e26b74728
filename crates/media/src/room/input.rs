//! Prompts that all members of a room hear, or both parties of a connection, as samples.

use std::sync::Arc;
use std::time::Duration;

use crate::codec::{Codec, Decoder};
use crate::event::{ActionId, Prompt};
use crate::gain::Gain;
use crate::outgoing::Outgoing;
use crate::play::Playback;

/// Prompts being played to all.
#[derive(Debug)]
pub(crate) struct Input {
    playback: Playback,
    gain: Gain,
    /// Linear samples on their way to packets that are none.
    outgoing: Outgoing,
    decoder: Decoder,
    samples: Vec<i16>,
}

impl Input {
    pub(crate) fn new(action: ActionId, prompts: Vec<Arc<Prompt>>, repeat: u32, gain: Gain) -> Self {
        let highest = prompts.iter().map(|prompt| prompt.codec().sample_rate()).max();
        let codec = if highest > Some(8000) { Codec::L16Wide } else { Codec::L16Narrow };
        Self {
            playback: Playback::new(action, prompts, repeat),
            gain,
            outgoing: Outgoing::new(codec),
            decoder: Decoder::new(codec),
            samples: Vec::new(),
        }
    }

    pub(crate) fn action(&self) -> ActionId {
        self.playback.action
    }

    pub(crate) fn played(&self) -> Duration {
        self.playback.played()
    }

    /// How loud.
    pub(crate) fn gain(&self) -> Gain {
        self.gain
    }

    /// What is played in the present frame, if anything, and its rate.
    pub(crate) fn played_frame(&self) -> (u32, &[i16]) {
        (self.outgoing.codec().sample_rate(), &self.samples)
    }

    /// Plays the next frame. Returns whether there is more.
    pub(crate) fn frame(&mut self) -> bool {
        let more = self.playback.frame(&mut self.outgoing);
        if !more {
            self.outgoing.fill_up();
        }
        self.samples.clear();
        let (decoder, samples) = (&mut self.decoder, &mut self.samples);
        self.outgoing.packets(|payload, _| decoder.decode(payload, samples));
        more
    }
}
