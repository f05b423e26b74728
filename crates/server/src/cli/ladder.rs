//! What a call has been through (`sys.call.explain`), drawn as a ladder: the far end, the node and the applications, and what passes
//! between them.
//!
//! ```text
//!     time  far end                            offhook                        application
//!    0.000  |- INVITE (PCMA, PCMU) ----------->|                              |
//!    0.812  |                                  |<- call.answer ---------------|
//!    0.813  |<- 200 OK (PCMA) -----------------|                              |
//! ```

use std::fmt::Write as _;

use offhook_client::wire::{Explained, MediaStats, MediaStep, SdpOutline, SipStep, Step, TimedStep, Way};

use super::remote::word;
use super::table::shown;

/// How far the three lines are from each other.
const GAP: usize = 46;

/// One line of the ladder.
enum Rung {
    /// From the first to the second of the three, or back.
    FarEnd { to_us: bool, text: String },
    /// Between the second and the third.
    Application { to_us: bool, text: String },
    /// At the second.
    Ours(String),
}

/// The whole of it, with what is known of the call above and its media below.
pub(super) fn drawn(call: &Explained) -> String {
    let mut text = format!(
        "{} {} {} {} -> {}\n",
        call.res_id,
        word(&call.call_dir),
        word(&call.state),
        shown(&call.from_uri),
        shown(&call.to_uri)
    );
    let gateway = call.gateway.as_deref().unwrap_or("-");
    let call_id = call.sip_call_id.as_deref().unwrap_or("-");
    let _ = writeln!(text, "gateway {}, Call-ID {}\n", shown(gateway), shown(call_id));
    let _ = writeln!(text, "{:>10}  {:<GAP$}{:<GAP$}application", "time", "far end", "offhook");
    let begin = call.steps.first().map_or(0, |first| first.time_ms);
    for (place, TimedStep { time_ms, step }) in call.steps.iter().enumerate() {
        if place == FIRST_STEPS && call.left_out > 0 {
            let _ = writeln!(text, "{:>10}  ({} steps are not kept)", "...", call.left_out);
        }
        let after = time_ms - begin;
        let seconds =
            format!("{}{}.{:03}", if after < 0 { "-" } else { "" }, after.abs() / 1000, after.abs() % 1000);
        let _ = writeln!(text, "{seconds:>10}  {}", line(&rung(step)).trim_end());
    }
    let _ = writeln!(text, "\n{}", media(&call.media));
    text
}

/// Those that are left out follow these (`sys.call.explain`).
const FIRST_STEPS: usize = 64;

fn rung(step: &Step) -> Rung {
    match step {
        Step::Sip(message) => Rung::FarEnd { to_us: message.way == Way::In, text: sip(message) },
        Step::Command { method, params } => {
            Rung::Application { to_us: true, text: format!("{}{}", short(method), list(params)) }
        }
        Step::Reply { method, error } => {
            let outcome = error.as_deref().unwrap_or("ok");
            Rung::Application { to_us: false, text: format!("{}: {outcome}", short(method)) }
        }
        Step::Event { name, error, params } => {
            let error = error.as_ref().map_or_else(String::new, |error| format!(" {error}"));
            Rung::Application { to_us: false, text: format!("{}{error}{}", short(name), list(params)) }
        }
        Step::State { state, .. } => Rung::Ours(format!("[{}]", word(state))),
        Step::Media(media) => Rung::Ours(agreed(media)),
    }
}

fn short(method: &str) -> &str {
    method.strip_prefix("sys.").unwrap_or(method)
}

fn list(params: &std::collections::BTreeMap<String, serde_json::Value>) -> String {
    let mut text = String::new();
    for (name, value) in params {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let _ = write!(text, " {name}={value}");
    }
    text
}

fn sip(message: &SipStep) -> String {
    let first = match (message.status, &message.phrase) {
        (Some(status), phrase) => format!("{status} {}", phrase.as_deref().unwrap_or_default()),
        (None, _) => message.method.clone(),
    };
    // The answer to an INVITE is told from that to a BYE.
    let of = match message.status {
        Some(_) if message.method != "INVITE" => format!(" ({})", message.method),
        _ => String::new(),
    };
    let sdp = message.sdp.as_ref().map_or_else(String::new, |sdp| format!(" ({})", offered(sdp)));
    format!("{}{of}{sdp}", first.trim_end())
}

fn offered(sdp: &SdpOutline) -> String {
    let mut text = sdp.codecs.join(", ");
    if sdp.direction != "sendrecv" {
        let _ = write!(text, "; {}", sdp.direction);
    }
    if !sdp.srtp.is_empty() {
        text.push_str("; SRTP");
    }
    text
}

fn agreed(media: &MediaStep) -> String {
    let mut text = format!("[media: {} {} {}", media.codec, media.direction, media.remote);
    if let Some(suite) = &media.srtp {
        let _ = write!(text, " {suite}");
    }
    text.push(']');
    text
}

/// Who is told more than fits is told it all: the line grows, and what is on its right moves.
fn line(rung: &Rung) -> String {
    match rung {
        Rung::FarEnd { to_us, text } => format!("{}|{:<2$}|", arrow(*to_us, text), "", GAP - 1),
        Rung::Application { to_us, text } => format!("|{:<2$}{}|", "", arrow(!to_us, text), GAP - 1),
        Rung::Ours(text) => format!("|{:<1$}{text}", "", GAP - 1),
    }
}

/// An arrow with its text, from a line to the next on its right or back.
fn arrow(to_right: bool, text: &str) -> String {
    let text = shown(text);
    // Its two ends and two blanks take four.
    let dashes = "-".repeat((GAP - 1).saturating_sub(text.chars().count() + 4).max(1));
    if to_right { format!("|- {text} {dashes}>") } else { format!("|<- {text} {dashes}") }
}

fn media(stats: &MediaStats) -> String {
    let optional = |value: Option<f64>, unit: &str| {
        value.map_or_else(|| "-".to_owned(), |value| format!("{value:.1}{unit}"))
    };
    format!(
        "media: {} packets sent, {} received, {} lost, {} late; jitter {:.1} ms, round trip {}, MOS {}",
        stats.packets_sent,
        stats.packets_received,
        stats.packets_lost,
        stats.packets_late,
        stats.jitter_ms,
        optional(stats.round_trip_ms, " ms"),
        optional(stats.mos, "")
    )
}

#[cfg(test)]
mod tests {
    use offhook_call::id::NodeId;

    use super::*;
    use crate::explain;

    #[test]
    fn a_call_as_a_ladder() {
        let text = drawn(&explain::wire(NodeId::default(), &explain::example()));
        let gap = " ".repeat(GAP - 1);
        let rungs: Vec<&str> = text.lines().filter(|line| line.contains('|')).collect();
        let invite = "     0.000  |- INVITE (PCMA, PCMU) ---------------------->|".to_owned() + &gap + "|";
        assert_eq!(rungs[0], invite, "{text}");
        let of_sip = |rung: &&&str| rung.ends_with(&format!("|{gap}|"));
        assert_eq!(rungs.iter().filter(of_sip).count(), 5, "{text}");
        assert!(text.contains("|<- 200 OK (PCMA) ---") && text.contains("|<- 200 OK (BYE) ---"), "{text}");
        assert!(text.contains(&format!("|{gap}[Idle]")), "{text}");
        assert!(text.contains("call.answer max_answer_seconds=3600 -"), "{text}");
        assert!(text.contains("media: 1955 packets sent, 1950 received, 5 lost"), "{text}");
    }

    /// A phrase is the far end's own: it moves no cursor.
    #[test]
    fn a_terminal_is_not_steered() {
        assert!(arrow(true, "486 \u{1b}[2J").contains("486 \u{fffd}[2J"));
    }
}
