//! Digits on their way out: each key 100 ms pressed and 100 ms released, as telephone-events or as tones.
//!
//! ```text
//!   frames of 20 ms   0   1   2   3   4   5   6   7   8   9 │ next key
//!   events                1   2   3   4  5E  5E  5E         │  packets 1–5, the end three times (RFC 4733 §2.5.1.4)
//!   tones             ~~~~~~~~~~~~~~~~~~                    │  then silence
//! ```

use std::collections::VecDeque;
use std::time::Duration;

use crate::FRAME_SAMPLES;
use crate::dtmf::Key;
use crate::dtmf::event::{EventPacket, EventSender};
use crate::dtmf::generate::ToneGenerator;
use crate::event::{ActionId, Dial};

/// How long a key is pressed.
const PRESS: Duration = Duration::from_millis(100);
/// Frames from one key to the next: 100 ms of press, 100 ms of rest.
const KEY_FRAMES: u32 = 10;
/// Frames of a `,`: 500 ms.
const PAUSE_FRAMES: u32 = 25;
/// Keys of the other party that wait to be passed on. Nobody dials faster than he is passed on for as long as this.
const MAX_PASSED_ON: usize = 16;
/// Ticks of the RTP clock from one event packet to the next.
const PACKET_TICKS: u32 = 160;

/// Digits being sent.
#[derive(Debug)]
pub(crate) struct Digits {
    /// Whose they are; nobody's if they are passed on from the other party of a connection.
    pub(crate) action: Option<ActionId>,
    waiting: VecDeque<Dial>,
    step: Step,
}

#[derive(Debug)]
enum Step {
    Next,
    Press { frame: u32, way: Way },
    Pause { frames: u32 },
}

#[derive(Debug)]
enum Way {
    Events(EventSender),
    Tone(ToneGenerator),
}

/// What goes out in one frame.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum DigitFrame {
    Event(EventPacket),
    /// The samples of a tone, or of the silence between tones, which have been filled in.
    Tone,
    /// Nothing.
    Rest,
    /// All are sent.
    Over,
}

impl Digits {
    pub(crate) fn new(action: ActionId, digits: Vec<Dial>) -> Self {
        Self { action: Some(action), waiting: digits.into(), step: Step::Next }
    }

    /// A key of the other party, to be passed on.
    pub(crate) fn passed_on(key: Key) -> Self {
        Self { action: None, waiting: [Dial::Key(key)].into(), step: Step::Next }
    }

    /// Another key of the other party; it is dropped if it would wait too long, or disturb an action.
    pub(crate) fn pass_on(&mut self, key: Key) {
        if self.action.is_none() && self.waiting.len() < MAX_PASSED_ON {
            self.waiting.push_back(Dial::Key(key));
        }
    }

    /// Ends after the key that is on its way.
    pub(crate) fn stop(&mut self) {
        self.waiting.clear();
        if matches!(self.step, Step::Pause { .. }) {
            self.step = Step::Next;
        }
    }

    /// The next frame. `event_timestamp` is that of an event which begins in it; none where events are not negotiated.
    /// `tone` is filled where there is one.
    pub(crate) fn frame(
        &mut self,
        event_timestamp: Option<u32>,
        tone: &mut [i16; FRAME_SAMPLES],
    ) -> DigitFrame {
        if matches!(self.step, Step::Next) {
            self.step = match self.waiting.pop_front() {
                None => return DigitFrame::Over,
                Some(Dial::Pause) => Step::Pause { frames: 0 },
                Some(Dial::Key(key)) => Step::Press { frame: 0, way: Way::of(key, event_timestamp) },
            };
        }
        let (made, frames, last) = match &mut self.step {
            Step::Press { frame, way } => (way.frame(*frame, tone), frame, KEY_FRAMES),
            Step::Pause { frames } => (DigitFrame::Rest, frames, PAUSE_FRAMES),
            Step::Next => return DigitFrame::Over,
        };
        *frames += 1;
        if *frames == last {
            self.step = Step::Next;
        }
        made
    }
}

impl Way {
    fn of(key: Key, event_timestamp: Option<u32>) -> Self {
        match event_timestamp {
            Some(timestamp) => Self::Events(EventSender::new(key, PRESS, timestamp, PACKET_TICKS)),
            None => Self::Tone(ToneGenerator::new(key, PRESS)),
        }
    }

    fn frame(&mut self, frame: u32, tone: &mut [i16; FRAME_SAMPLES]) -> DigitFrame {
        match self {
            // The first packet tells of the frame that has passed.
            Self::Events(_) if frame == 0 => DigitFrame::Rest,
            Self::Events(sender) => sender.poll().map_or(DigitFrame::Rest, DigitFrame::Event),
            Self::Tone(generator) => {
                generator.fill(tone);
                DigitFrame::Tone
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dial(text: &str) -> Vec<Dial> {
        text.chars().map(|char| Key::from_char(char).map_or(Dial::Pause, Dial::Key)).collect()
    }

    /// One character a frame: `.` rest, `~` tone, `-` silence between tones, digits an event (its key), `E` its end.
    fn draw(digits: &mut Digits, events: bool) -> String {
        let mut drawn = String::new();
        let mut tone = [0; FRAME_SAMPLES];
        for frame in 0.. {
            match digits.frame(events.then_some(frame * 160), &mut tone) {
                DigitFrame::Over => break,
                DigitFrame::Rest => drawn.push('.'),
                DigitFrame::Tone if tone == [0; FRAME_SAMPLES] => drawn.push('-'),
                DigitFrame::Tone => drawn.push('~'),
                DigitFrame::Event(packet) if packet.payload[1] & 0x80 != 0 => drawn.push('E'),
                DigitFrame::Event(packet) => drawn.push(Key::from_code(packet.payload[0]).unwrap().as_char()),
            }
        }
        drawn
    }

    #[test]
    fn keys_as_events_and_as_tones() {
        let mut digits = Digits::new(ActionId(1), dial("1,#"));
        assert_eq!(draw(&mut digits, true), format!(".1111EEE..{}.####EEE..", ".".repeat(25)));
        let mut digits = Digits::new(ActionId(1), dial("12"));
        assert_eq!(draw(&mut digits, false), "~~~~~-----~~~~~-----");
    }

    #[test]
    fn a_stop_lets_the_key_on_its_way_end() {
        let mut digits = Digits::new(ActionId(1), dial("12"));
        digits.frame(Some(0), &mut [0; FRAME_SAMPLES]);
        digits.stop();
        assert_eq!(draw(&mut digits, true), "1111EEE..");
        let mut digits = Digits::new(ActionId(1), dial(",2"));
        digits.frame(Some(0), &mut [0; FRAME_SAMPLES]);
        digits.stop();
        assert_eq!(draw(&mut digits, true), "");
    }

    #[test]
    fn keys_that_are_passed_on_are_bounded() {
        let key = Key::from_char('5').unwrap();
        let mut digits = Digits::passed_on(key);
        for _ in 0..1000 {
            digits.pass_on(key);
        }
        assert_eq!(draw(&mut digits, true).len(), 16 * 10);
    }
}
