//! Digits on their way out: each key 100 ms pressed and 100 ms released, as telephone-events or as tones.
//!
//! ```text
//!   frames of 20 ms   0   1   2   3   4   5   6   7   8   9 │ next key
//!   events                1   2   3   4  5E  5E  5E         │  packets 1–5, the end three times (RFC 4733 §2.5.1.4)
//!   tones             ~~~~~~~~~~~~~~~~~~                    │  then silence
//! ```
//! A key that the other party of a connection holds is pressed as long: it begins before that is known, and rests as long after it.
//! One that is told once it is over (SIP INFO) is pressed for 250 ms at most.
//! Events count by the clock of the audio beside them, tones are made at the rate of the audio they go into.

use std::collections::VecDeque;
use std::time::Duration;

use crate::FRAME;
use crate::dtmf::Key;
use crate::dtmf::event::{EventClocks, EventPacket, EventSender};
use crate::dtmf::generate::ToneGenerator;
use crate::event::{ActionId, Dial};
use crate::sdp::Events;

/// How long a key is pressed, and at least where somebody else presses it.
const PRESS: Duration = Duration::from_millis(100);
/// How long a press is at most that is told once it is over (SIP INFO, which may say anything): nothing is heard of who pressed it
/// while it is pressed anew, and he speaks again. Any receiver takes as much for a key, and an INFO mostly says as much.
const LONGEST_PRESS: Duration = Duration::from_millis(250);
/// Frames from the end of a key to the next: 100 ms of rest.
const REST_FRAMES: u32 = 5;
/// Frames of a `,`: 500 ms.
const PAUSE_FRAMES: u32 = 25;
/// Frames of our clock in a second.
const FRAMES_PER_SECOND: u32 = 50;
/// Keys of the other party that wait to be passed on. Nobody dials faster than he is passed on for as long as this.
const MAX_PASSED_ON: usize = 16;

/// Digits being sent.
#[derive(Debug)]
pub(crate) struct Digits {
    /// Whose they are; nobody's if they are passed on from the other party of a connection.
    pub(crate) action: Option<ActionId>,
    waiting: VecDeque<Next>,
    step: Step,
}

/// What is to come.
#[derive(Clone, Copy, Debug)]
enum Next {
    Press(Press),
    Pause,
}

/// A press of a key.
#[derive(Clone, Copy, Debug)]
struct Press {
    key: Key,
    /// Not known while it is held.
    length: Option<Duration>,
}

#[derive(Debug)]
enum Step {
    Next,
    Press { frame: u32, press: Press, way: Way },
    Pause { frames: u32 },
}

/// How a key of the other party is pressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pressed {
    /// From now on.
    Down,
    /// No longer, after so long.
    Up(Duration),
    /// It was, for so long.
    Whole(Duration),
}

#[derive(Debug)]
enum Way {
    Events(EventSender),
    Tone(ToneGenerator),
}

/// Where a telephone-event begins that begins in this frame.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EventStart {
    /// Its RTP timestamp.
    pub(crate) timestamp: u32,
    pub(crate) clocks: EventClocks,
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
        let next = |dial| match dial {
            Dial::Key(key) => Next::Press(Press { key, length: Some(PRESS) }),
            Dial::Pause => Next::Pause,
        };
        Self { action: Some(action), waiting: digits.into_iter().map(next).collect(), step: Step::Next }
    }

    /// Keys of the other party, to be passed on.
    pub(crate) fn passed_on() -> Self {
        Self { action: None, waiting: VecDeque::new(), step: Step::Next }
    }

    /// Another key of the other party, or the same one let go; it is dropped if it would wait too long, or disturb an action.
    pub(crate) fn pass_on(&mut self, key: Key, pressed: Pressed) {
        let length = match pressed {
            Pressed::Down => None,
            Pressed::Whole(length) => Some(length.clamp(PRESS, LONGEST_PRESS)),
            Pressed::Up(length) => return self.release(Some(key), length),
        };
        if self.action.is_none() && self.waiting.len() < MAX_PASSED_ON {
            self.waiting.push_back(Next::Press(Press { key, length }));
        }
    }

    /// Lets go of a key that is held, or of any: it was held for so long, or as long as it has been.
    pub(crate) fn release(&mut self, key: Option<Key>, length: Duration) {
        let length = length.max(PRESS);
        let is_meant = |press: &Press| press.length.is_none() && key.is_none_or(|key| key == press.key);
        for next in &mut self.waiting {
            if let Next::Press(press) = next
                && is_meant(press)
            {
                press.length = Some(length);
            }
        }
        if let Step::Press { frame, press, way } = &mut self.step
            && is_meant(press)
        {
            press.length = Some(length.max(*frame * FRAME));
            way.release(length);
        }
    }

    /// Ends after the key that is on its way.
    pub(crate) fn stop(&mut self) {
        self.waiting.clear();
        if matches!(self.step, Step::Pause { .. }) {
            self.step = Step::Next;
        }
    }

    /// Whether what comes next is an event, where these are those that the peer takes; else it is a tone. A pause goes the
    /// way of events.
    pub(crate) fn goes_as_event(&self, events: Events) -> bool {
        match (&self.step, self.waiting.front()) {
            (Step::Press { way, .. }, _) => matches!(way, Way::Events(_)),
            (Step::Next, Some(Next::Press(press))) => events.contains(press.key.code()),
            (Step::Pause { .. } | Step::Next, _) => true,
        }
    }

    /// The next frame. `event` is where an event would begin in it; none where events are not negotiated. `tone`, which
    /// is a frame long at the rate of the audio, is filled where there is one.
    pub(crate) fn frame(&mut self, event: Option<EventStart>, tone: &mut [i16]) -> DigitFrame {
        if matches!(self.step, Step::Next) {
            self.step = match self.waiting.pop_front() {
                None => return DigitFrame::Over,
                Some(Next::Pause) => Step::Pause { frames: 0 },
                Some(Next::Press(press)) => {
                    Step::Press { frame: 0, press, way: Way::of(press, event, tone.len()) }
                }
            };
        }
        let (made, frames, last) = match &mut self.step {
            Step::Press { frame, press, way } => (way.frame(*frame, tone), frame, press.frames()),
            Step::Pause { frames } => (DigitFrame::Rest, frames, Some(PAUSE_FRAMES)),
            Step::Next => return DigitFrame::Over,
        };
        *frames = frames.saturating_add(1);
        if last.is_some_and(|last| *frames >= last) {
            self.step = Step::Next;
        }
        made
    }
}

impl Press {
    /// Frames until the next key may come, once that is known.
    fn frames(&self) -> Option<u32> {
        let frames = self.length?.as_nanos().div_ceil(FRAME.as_nanos());
        Some(u32::try_from(frames).unwrap_or(u32::MAX).saturating_add(REST_FRAMES))
    }
}

impl Way {
    fn of(Press { key, length }: Press, event: Option<EventStart>, frame_samples: usize) -> Self {
        let length = length.unwrap_or(Duration::MAX);
        match event {
            Some(EventStart { timestamp, clocks }) => {
                Self::Events(EventSender::new(key, length, timestamp, clocks, FRAME))
            }
            None => {
                let rate = u32::try_from(frame_samples).unwrap_or_default() * FRAMES_PER_SECOND;
                Self::Tone(ToneGenerator::new(key, length, rate))
            }
        }
    }

    fn release(&mut self, length: Duration) {
        match self {
            Self::Events(sender) => sender.release(length),
            Self::Tone(generator) => generator.release(length),
        }
    }

    fn frame(&mut self, frame: u32, tone: &mut [i16]) -> DigitFrame {
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
        let mut tone = [0; 160];
        for frame in 0.. {
            let event =
                events.then_some(EventStart { timestamp: frame * 160, clocks: EventClocks::new(8000, 8000) });
            match digits.frame(event, &mut tone) {
                DigitFrame::Over => break,
                DigitFrame::Rest => drawn.push('.'),
                DigitFrame::Tone if tone == [0; 160] => drawn.push('-'),
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
    fn events_count_by_their_clock_and_tones_by_the_frames_they_go_into() {
        for (clock, frame) in [(8_000, 160), (16_000, 320), (48_000, 960)] {
            let mut digits = Digits::new(ActionId(1), dial("1"));
            let mut durations = Vec::new();
            let mut tone = vec![0; usize::from(frame)];
            for _ in 0..10 {
                let event = Some(EventStart { timestamp: 0, clocks: EventClocks::new(clock, clock) });
                if let DigitFrame::Event(packet) = digits.frame(event, &mut tone) {
                    durations.push(u16::from_be_bytes([packet.payload[2], packet.payload[3]]));
                }
            }
            assert_eq!(durations, [1, 2, 3, 4, 5, 5, 5].map(|n| n * frame), "{clock}");

            let mut digits = Digits::new(ActionId(1), dial("1"));
            let mut samples = Vec::new();
            while digits.frame(None, &mut tone) == DigitFrame::Tone {
                samples.extend_from_slice(&tone);
            }
            let sounding = samples.iter().rposition(|&sample| sample != 0).unwrap();
            let tenth = usize::try_from(clock / 10).unwrap();
            assert!((tenth - 4..tenth).contains(&sounding), "{clock}: {sounding}");
        }
    }

    #[test]
    fn a_stop_lets_the_key_on_its_way_end() {
        let mut digits = Digits::new(ActionId(1), dial("12"));
        digits.frame(Some(EventStart { timestamp: 0, clocks: EventClocks::new(8000, 8000) }), &mut [0; 160]);
        digits.stop();
        assert_eq!(draw(&mut digits, true), "1111EEE..");
        let mut digits = Digits::new(ActionId(1), dial(",2"));
        digits.frame(Some(EventStart { timestamp: 0, clocks: EventClocks::new(8000, 8000) }), &mut [0; 160]);
        digits.stop();
        assert_eq!(draw(&mut digits, true), "");
    }

    #[test]
    fn keys_that_are_passed_on_are_bounded() {
        let key = Key::from_char('5').unwrap();
        let mut digits = Digits::passed_on();
        for _ in 0..1000 {
            digits.pass_on(key, Pressed::Whole(Duration::ZERO));
        }
        assert_eq!(draw(&mut digits, true).len(), 16 * 10);
        let mut digits = Digits::passed_on();
        digits.pass_on(key, Pressed::Whole(Duration::MAX));
        assert_eq!(draw(&mut digits, true).len(), 13 + 5);
    }

    /// Those that wait behind it too, each as long as it was.
    #[test]
    fn keys_that_are_held_rest_before_the_next() {
        let [five, six] = ['5', '6'].map(|key| Key::from_char(key).unwrap());
        for (events, expected) in [
            (true, ".5555555555EEE...666666EEE..".to_owned()),
            (false, format!("{}----{}-----", "~".repeat(11), "~".repeat(7))),
        ] {
            let mut digits = Digits::passed_on();
            digits.pass_on(five, Pressed::Down);
            let event = events.then_some(EventStart { timestamp: 0, clocks: EventClocks::new(8000, 8000) });
            let mut tone = [0; 160];
            for frame in 0..10 {
                let made = digits.frame(event, &mut tone);
                assert!(made != DigitFrame::Over && (events || tone != [0; 160]), "{frame}");
            }
            digits.pass_on(six, Pressed::Down);
            digits.pass_on(six, Pressed::Up(Duration::from_millis(140)));
            digits.pass_on(five, Pressed::Up(Duration::from_millis(190)));
            let drawn = draw(&mut digits, events);
            assert!(expected.ends_with(&drawn) && drawn.len() > 15, "{drawn}");
        }
    }
}
