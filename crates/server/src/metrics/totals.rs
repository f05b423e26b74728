//! What has happened since the start, by kind: counted from the events of calls, so that it is what applications were told. Labels are
//! words of the API, of which there are few.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use offhook_call::cause::{Failure, TurnedAway};
use offhook_call::event::{Event, EventKind, Released, UnixMs};
use offhook_exchange::Note;
use offhook_media::event::DigitSource;

use super::{direction, family, line};

/// Counters by one label, or by two.
type By<K> = BTreeMap<K, u64>;

/// Whole milliseconds from one moment to another; none where the clock was set back meanwhile.
fn seconds(from: UnixMs, to: UnixMs) -> f64 {
    Duration::from_millis(u64::try_from(to.0 - from.0).unwrap_or(0)).as_secs_f64()
}

/// Everything that is counted.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    /// Released calls by direction and result.
    calls: By<(&'static str, &'static str)>,
    /// Released calls by the SIP status that they ended with.
    causes: By<u16>,
    /// INVITEs that became no call, by the places of the reasons in [`TurnedAway::ALL`].
    turned_away: [u64; TurnedAway::ALL.len()],
    /// From the first INVITE to the answer.
    set_up: f64,
    /// From the answer to the end.
    talk: f64,
    /// Actions by kind and result.
    actions: By<(&'static str, &'static str)>,
    /// Keys by where they were heard.
    digits: By<&'static str>,
    /// RTP packets of released calls.
    packets: By<&'static str>,
    lost: u64,
    recorded_bytes: u64,
}

impl Totals {
    /// Counts an event of a call.
    pub(crate) fn count(&mut self, event: &Event) {
        match &event.kind {
            EventKind::Released(released) => self.released(released),
            EventKind::RecordCompleted { error, recorded, .. } => {
                self.recorded_bytes += recorded.bytes;
                self.action("record", *error);
            }
            EventKind::AnswerCompleted { error, .. } => self.action("answer", *error),
            EventKind::DialCompleted { error, .. } => self.action("dial", *error),
            EventKind::PlayCompleted { error, .. } => self.action("play", *error),
            EventKind::SendDtmfCompleted { error, .. } => self.action("send_dtmf", *error),
            EventKind::ReceiveDtmfCompleted { error, .. } => self.action("receive_dtmf", *error),
            EventKind::ConnectCompleted { error, .. } => self.action("connect", *error),
            EventKind::ConfCompleted { error, .. } => self.action("conf", *error),
            EventKind::TransferCompleted { error, .. } => self.action("transfer", *error),
            EventKind::DetectCompleted { error, .. } => self.action("detect", *error),
            EventKind::MessageCompleted { error, .. } => self.action("send_message", *error),
            EventKind::Dtmf { source, .. } => {
                let source = match source {
                    DigitSource::Rfc4733 => "rfc4733",
                    DigitSource::Inband => "inband",
                    DigitSource::Info => "info",
                };
                *self.digits.entry(source).or_default() += 1;
            }
            EventKind::Incoming { .. }
            | EventKind::Ringing { .. }
            | EventKind::TransferRequested { .. }
            | EventKind::Message(_)
            | EventKind::Detected(_)
            | EventKind::Hold { .. }
            | EventKind::MediaAlarm(_)
            | EventKind::StateChanged { .. } => {}
        }
    }

    /// Counts what is of no call.
    pub(crate) fn count_note(&mut self, note: &Note) {
        let Note::TurnedAway { why, .. } = note else { return };
        let place = TurnedAway::ALL.iter().position(|known| known == why);
        if let Some(count) = place.and_then(|place| self.turned_away.get_mut(place)) {
            *count += 1;
        }
    }

    fn action(&mut self, kind: &'static str, error: Option<Failure>) {
        *self.actions.entry((kind, error.map_or("ok", Failure::code))).or_default() += 1;
    }

    fn released(&mut self, call: &Released) {
        let direction = direction(call.direction);
        let result = if call.answer_time.is_some() { "answered" } else { "unanswered" };
        *self.calls.entry((direction, result)).or_default() += 1;
        *self.causes.entry(call.cause.status).or_default() += 1;
        if let Some(answered) = call.answer_time {
            self.set_up += seconds(call.begin, answered);
            self.talk += seconds(answered, call.end);
        }
        *self.packets.entry("received").or_default() += call.stats.packets_received;
        *self.packets.entry("sent").or_default() += call.stats.packets_sent;
        self.lost += u64::try_from(call.stats.packets_lost).unwrap_or(0);
    }

    /// All of it as text.
    pub(super) fn write(&self, text: &mut String) {
        two(
            text,
            "offhook_calls_total",
            "Calls that have been released.",
            ("direction", "result"),
            &self.calls,
        );
        let reasons = TurnedAway::ALL.iter().zip(self.turned_away);
        let by_reason = reasons.map(|(why, count)| (why.name(), count)).collect();
        let help = "INVITEs that were refused at once and became no call.";
        one(text, "offhook_calls_refused_total", help, "reason", &by_reason);
        one(
            text,
            "offhook_call_ends_total",
            "Calls by the SIP status they ended with.",
            "status",
            &self.causes,
        );
        for (name, help, value) in [
            (
                "offhook_call_setup_seconds_total",
                "From the INVITE to the answer, of released calls.",
                self.set_up,
            ),
            ("offhook_call_talk_seconds_total", "From the answer to the end, of released calls.", self.talk),
        ] {
            family(text, name, "counter", help);
            line(text, name, None, value);
        }
        two(text, "offhook_actions_total", "Actions that have completed.", ("kind", "result"), &self.actions);
        one(text, "offhook_digits_total", "Keys that were pressed.", "source", &self.digits);
        let packets = "RTP packets of calls that have been released.";
        one(text, "offhook_rtp_packets_total", packets, "direction", &self.packets);
        for (name, help, value) in [
            ("offhook_rtp_packets_lost_total", "RTP packets that never came, of released calls.", self.lost),
            ("offhook_recorded_bytes_total", "Bytes of recordings that are complete.", self.recorded_bytes),
        ] {
            family(text, name, "counter", help);
            line(text, name, None, value);
        }
    }
}

// Writing to a string cannot fail.
fn one<K: std::fmt::Display>(text: &mut String, name: &str, help: &str, label: &str, by: &By<K>) {
    family(text, name, "counter", help);
    for (value, count) in by {
        let _ = writeln!(text, "{name}{{{label}=\"{value}\"}} {count}");
    }
}

fn two(
    text: &mut String,
    name: &str,
    help: &str,
    (first, second): (&str, &str),
    by: &By<(&'static str, &'static str)>,
) {
    family(text, name, "counter", help);
    for ((one, other), count) in by {
        let _ = writeln!(text, "{name}{{{first}=\"{one}\",{second}=\"{other}\"}} {count}");
    }
}

#[cfg(test)]
mod tests {
    use offhook_call::cause::{Cause, DroppedBy};
    use offhook_call::error::Direction;
    use offhook_call::event::Span;
    use offhook_call::id::CallId;
    use offhook_media::event::LegStats;
    use offhook_sip::event::SessionId;

    use super::*;

    fn event(kind: EventKind) -> Event {
        Event { call: CallId(1), time: UnixMs(0), user_data: None, kind }
    }

    fn released(direction: Direction, answered: Option<i64>, status: u16) -> Event {
        let stats =
            LegStats { packets_received: 50, packets_sent: 60, packets_lost: -2, ..LegStats::default() };
        event(EventKind::Released(Box::new(Released {
            direction,
            from_uri: String::new(),
            to_uri: String::new(),
            begin: UnixMs(1_000),
            answer_time: answered.map(UnixMs),
            end: UnixMs(9_500),
            cause: Cause { status, by: DroppedBy::User },
            reason: None,
            sip_call_id: String::new(),
            gateway: None,
            lasted: Duration::from_secs(3),
            talked: None,
            codec: None,
            recordings: Vec::new(),
            stats,
        })))
    }

    #[test]
    fn calls_are_counted_by_what_became_of_them() {
        let mut totals = Totals::default();
        totals.count(&released(Direction::Inbound, Some(3_000), 200));
        totals.count(&released(Direction::Inbound, Some(3_500), 200));
        totals.count(&released(Direction::Outbound, None, 486));
        let span = Span { begin: UnixMs(0), end: UnixMs(1) };
        for error in [None, Some(Failure::Hangup), None] {
            totals.count(&event(EventKind::SendDtmfCompleted { error, span }));
        }
        let session = SessionId::Inbound(1);
        totals.count_note(&Note::TurnedAway { session, why: TurnedAway::NoApplication });
        totals.count_note(&Note::Restless);
        let mut text = String::new();
        totals.write(&mut text);
        for line in [
            "offhook_calls_total{direction=\"inbound\",result=\"answered\"} 2",
            "offhook_calls_total{direction=\"outbound\",result=\"unanswered\"} 1",
            "offhook_call_ends_total{status=\"200\"} 2",
            "offhook_call_ends_total{status=\"486\"} 1",
            "offhook_call_setup_seconds_total 4.5",
            "offhook_call_talk_seconds_total 12.5",
            "offhook_actions_total{kind=\"send_dtmf\",result=\"hangup\"} 1",
            "offhook_actions_total{kind=\"send_dtmf\",result=\"ok\"} 2",
            "offhook_rtp_packets_total{direction=\"received\"} 150",
            "offhook_rtp_packets_lost_total 0",
            "offhook_calls_refused_total{reason=\"no_application\"} 1",
            "offhook_calls_refused_total{reason=\"gateway_calls\"} 0",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }
}
