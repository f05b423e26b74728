//! What lives at this moment: calls by where they are, and how well they hear.

use std::fmt::Write;
use std::time::Duration;

use offhook_call::error::Direction;
use offhook_call::state::State;
use offhook_media::event::LegStats;

use super::{direction, family, line};

/// All calls that live, counted.
#[derive(Clone, Debug, Default)]
pub struct Live {
    /// Inbound and outbound ones, by the places of their states in [`State::ALL`].
    counts: [[u64; State::ALL.len()]; 2],
    /// The sum of the jitter of those that hear something, in milliseconds, how many they are, and the most of one.
    jitter: (f64, u32, f64),
}

impl Live {
    /// Counts them.
    pub(crate) fn of<'a>(calls: impl Iterator<Item = (Direction, State, Option<&'a LegStats>)>) -> Self {
        let mut live = Self::default();
        for (direction, state, stats) in calls {
            let place = State::ALL.iter().position(|&known| known == state);
            if let Some(count) = place.and_then(|place| live.counts[way(direction)].get_mut(place)) {
                *count += 1;
            }
            if let Some(stats) = stats.filter(|stats| stats.packets_received > 0) {
                let (sum, calls, most) = &mut live.jitter;
                *sum += stats.jitter_ms;
                *calls += 1;
                *most = most.max(stats.jitter_ms);
            }
        }
        live
    }

    /// All of it as text.
    pub(super) fn write(&self, text: &mut String) {
        let name = "offhook_calls_live";
        family(text, name, "gauge", "Calls that have not been released, by their states.");
        for way_gone in [Direction::Inbound, Direction::Outbound] {
            let states = State::ALL.iter().zip(self.counts[way(way_gone)]);
            for (state, count) in states.filter(|(state, _)| **state != State::Released) {
                let way = direction(way_gone);
                let _ = writeln!(text, "{name}{{direction=\"{way}\",state=\"{state:?}\"}} {count}");
            }
        }
        let (sum, calls, most) = self.jitter;
        let mean = if calls == 0 { 0.0 } else { sum / f64::from(calls) };
        for (name, help, milliseconds) in [
            (
                "offhook_rtp_jitter_seconds",
                "Interarrival jitter of what comes to live calls, the mean.",
                mean,
            ),
            ("offhook_rtp_jitter_most_seconds", "The same of the call that has the most.", most),
        ] {
            family(text, name, "gauge", help);
            line(text, name, None, Duration::from_secs_f64(milliseconds.max(0.0) / 1000.0).as_secs_f64());
        }
    }
}

fn way(direction: Direction) -> usize {
    match direction {
        Direction::Inbound => 0,
        Direction::Outbound => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_where_they_are() {
        let hears = |jitter_ms| LegStats { packets_received: 1, jitter_ms, ..LegStats::default() };
        let (some, more, silent) = (hears(2.0), hears(6.0), LegStats::default());
        let calls = [
            (Direction::Inbound, State::Play, Some(&some)),
            (Direction::Inbound, State::Play, Some(&silent)),
            (Direction::Outbound, State::Idle, Some(&more)),
            (Direction::Outbound, State::Initiated, None),
        ];
        let mut text = String::new();
        Live::of(calls.into_iter()).write(&mut text);
        for line in [
            "offhook_calls_live{direction=\"inbound\",state=\"Play\"} 2",
            "offhook_calls_live{direction=\"outbound\",state=\"Idle\"} 1",
            "offhook_calls_live{direction=\"outbound\",state=\"Initiated\"} 1",
            "offhook_calls_live{direction=\"outbound\",state=\"Play\"} 0",
            "offhook_rtp_jitter_seconds 0.004",
            "offhook_rtp_jitter_most_seconds 0.006",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }
}
