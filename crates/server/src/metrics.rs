//! `/metrics`: how things are, in the text that Prometheus reads (exposition format 0.0.4). Names of gateways, ids of web
//! hooks and words of the API are the only labels: no calls and no people.

mod live;
mod requests;
mod totals;

use std::fmt::{Display, Write};
use std::time::Duration;

use offhook_call::error::Direction;
use offhook_call::gateway::GatewayStatus;
use offhook_client::wire::{WebhookInfo, WebhookState};
use offhook_sip::Counters;

use crate::media::Late;
use crate::ports::PortCounts;
use crate::store::CopyStatus;

pub use live::Live;
pub use requests::Requests;
pub use totals::Totals;

/// The media type of [`text`].
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// How things are, at one moment of the control loop.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    /// Whether the node takes no new calls since it ends.
    pub is_draining: bool,
    /// What has happened since the start.
    pub totals: Totals,
    /// Calls that have not been released.
    pub calls: usize,
    /// The same by where they are.
    pub live: Live,
    /// Conferences that have not been released.
    pub conferences: usize,
    /// Pairs of ports that wait for the next calls.
    pub spare_ports: usize,
    /// Pairs of ports, those among them.
    pub ports: PortCounts,
    /// How punctual media threads are.
    pub late: Late,
    /// The number of the newest event.
    pub events_newest: u64,
    /// Events that are not on the disk.
    pub events_unwritten: u64,
    /// Events that this run has told.
    pub events_told: u64,
    /// Bytes of events on the disk.
    pub events_bytes: u64,
    /// How many listen to events as they come, and how many events the last of them is behind.
    pub listeners: (usize, u64),
    /// Every gateway.
    pub gateways: Vec<GatewayStatus>,
    /// Audio that disks which stood still have cost recordings.
    pub recording_gaps: Duration,
    /// RTP and RTCP packets that were not protected with the peer's key.
    pub not_authentic: u64,
    /// What the SIP user agent has counted.
    pub sip: Counters,
    /// SIP datagrams that the kernel had no room for.
    pub unsent: u64,
}

/// All of it as text.
pub fn text(metrics: &Metrics) -> String {
    let mut text = String::new();
    family(&mut text, "offhook_draining", "gauge", "Whether the node takes no new calls since it ends.");
    line(&mut text, "offhook_draining", None, u8::from(metrics.is_draining));
    family(&mut text, "offhook_calls", "gauge", "Calls that have not been released.");
    line(&mut text, "offhook_calls", None, metrics.calls);
    family(&mut text, "offhook_conferences", "gauge", "Conferences that have not been released.");
    line(&mut text, "offhook_conferences", None, metrics.conferences);
    family(&mut text, "offhook_spare_ports", "gauge", "Pairs of open ports that wait for the next calls.");
    line(&mut text, "offhook_spare_ports", None, metrics.spare_ports);
    family(&mut text, "offhook_events_newest", "gauge", "The number of the newest event.");
    line(&mut text, "offhook_events_newest", None, metrics.events_newest);
    family(&mut text, "offhook_events_unwritten", "gauge", "Events that are not on the disk.");
    line(&mut text, "offhook_events_unwritten", None, metrics.events_unwritten);
    events(&mut text, metrics);
    ports(&mut text, metrics);
    late(&mut text, metrics.late);
    metrics.live.write(&mut text);
    let gaps = "Audio that disks which stood still have cost recordings.";
    family(&mut text, "offhook_recording_gap_seconds_total", "counter", gaps);
    line(&mut text, "offhook_recording_gap_seconds_total", None, metrics.recording_gaps.as_secs_f64());
    let forged = "RTP and RTCP packets refused since they were not protected with the peer's key (SRTP).";
    family(&mut text, "offhook_srtp_not_authentic_total", "counter", forged);
    line(&mut text, "offhook_srtp_not_authentic_total", None, metrics.not_authentic);
    metrics.totals.write(&mut text);
    gateways(&mut text, &metrics.gateways);
    sip(&mut text, &metrics.sip);
    family(
        &mut text,
        "offhook_sip_unsent_total",
        "counter",
        "SIP datagrams that the kernel had no room for; lost.",
    );
    line(&mut text, "offhook_sip_unsent_total", None, metrics.unsent);
    text
}

fn events(text: &mut String, metrics: &Metrics) {
    let (listeners, lag) = metrics.listeners;
    for (name, kind, help, value) in [
        (
            "offhook_events_total",
            "counter",
            "Events that have happened since the start.",
            metrics.events_told,
        ),
        ("offhook_events_log_bytes", "gauge", "Bytes of events on the disk.", metrics.events_bytes),
        ("offhook_subscribers", "gauge", "Who is told of events as they come.", listeners as u64),
        ("offhook_subscriber_lag_events", "gauge", "Events that the last of them is behind.", lag),
    ] {
        family(text, name, kind, help);
        line(text, name, None, value);
    }
}

fn ports(text: &mut String, metrics: &Metrics) {
    let PortCounts { free, resting, leased } = metrics.ports;
    let spare = metrics.spare_ports;
    let name = "offhook_rtp_ports";
    family(
        text,
        name,
        "gauge",
        "Pairs of ports: free, open for the next calls, of calls, at rest after one.",
    );
    for (state, pairs) in
        [("free", free), ("spare", spare), ("used", leased.saturating_sub(spare)), ("resting", resting)]
    {
        let _ = writeln!(text, "{name}{{state=\"{state}\"}} {pairs}");
    }
}

fn late(text: &mut String, late: Late) {
    let name = "offhook_media_slots_total";
    family(text, name, "counter", "Slots of 2 ms in which media threads had something to do.");
    line(text, name, None, late.slots);
    let name = "offhook_media_lag_seconds_total";
    family(text, name, "counter", "How late they began, all of them.");
    line(text, name, None, late.lag.as_secs_f64());
    let name = "offhook_media_late_frames_total";
    family(text, name, "counter", "Slots that began a frame (20 ms) late or later, or were left out.");
    line(text, name, None, late.late);
}

/// How web hooks are, as text. Their ids are the only labels.
pub fn webhooks(hooks: &[WebhookInfo]) -> String {
    let mut text = String::new();
    let name = "offhook_webhook_deliveries_total";
    family(
        &mut text,
        name,
        "counter",
        "Messages that arrived (delivered), attempts that failed, messages given up (dead).",
    );
    for hook in hooks {
        for (result, value) in [("delivered", hook.delivered), ("failed", hook.failed), ("dead", hook.dead)] {
            let _ = writeln!(text, "{name}{{hook=\"{}\",result=\"{result}\"}} {value}", hook.id);
        }
    }
    let name = "offhook_webhook_backlog";
    family(&mut text, name, "gauge", "Events that the web hook has not been told.");
    for hook in hooks {
        let _ = writeln!(text, "{name}{{hook=\"{}\"}} {}", hook.id, hook.backlog);
    }
    let name = "offhook_webhook_disabled";
    family(&mut text, name, "gauge", "Whether the web hook has answered 410 and is told nothing.");
    for hook in hooks {
        let is_disabled = u8::from(hook.state == WebhookState::Disabled);
        let _ = writeln!(text, "{name}{{hook=\"{}\"}} {is_disabled}", hook.id);
    }
    text
}

/// How far the copy of call records in PostgreSQL is, as text.
pub fn copy(copy: &CopyStatus) -> String {
    let mut text = String::new();
    let name = "offhook_cdr_postgres_backlog";
    family(&mut text, name, "gauge", "Records of calls that are not in PostgreSQL yet.");
    line(&mut text, name, None, copy.backlog);
    let name = "offhook_cdr_postgres_failures_total";
    family(&mut text, name, "counter", "Attempts to write to PostgreSQL that failed; they are repeated.");
    line(&mut text, name, None, copy.failures);
    let name = "offhook_cdr_postgres_records_total";
    let help = "Records in PostgreSQL (copied), that it took for wrong (refused), that got too old to wait for it (lost).";
    family(&mut text, name, "counter", help);
    for (result, value) in [("copied", copy.copied), ("refused", copy.refused), ("lost", copy.lost)] {
        let _ = writeln!(text, "{name}{{result=\"{result}\"}} {value}");
    }
    text
}

fn gateways(text: &mut String, gateways: &[GatewayStatus]) {
    type Value = fn(&GatewayStatus) -> Option<usize>;
    let families: [(&str, &str, Value); 6] = [
        ("offhook_gateway_up", "Whether the gateway answers to OPTIONS.", |gateway| {
            gateway.up.map(usize::from)
        }),
        ("offhook_gateway_registered", "Whether the node is registered with the gateway.", |gateway| {
            gateway.registered.map(usize::from)
        }),
        ("offhook_gateway_calls", "Calls that count against the gateway's limit.", |gateway| {
            Some(gateway.calls)
        }),
        ("offhook_gateway_max_calls", "The gateway's limit of calls; none where it has none.", |gateway| {
            Some(gateway.max_calls).filter(|&most| most != 0)
        }),
        (
            "offhook_gateway_max_calls_per_second",
            "The gateway's limit of new calls in a second; none where it has none.",
            |gateway| usize::try_from(gateway.max_calls_per_second).ok().filter(|&most| most != 0),
        ),
        ("offhook_gateway_resting", "Whether the gateway has said when to come back.", |gateway| {
            Some(usize::from(gateway.rest.is_some()))
        }),
    ];
    for (name, help, value) in families {
        family(text, name, "gauge", help);
        for gateway in gateways {
            if let Some(value) = value(gateway) {
                line(text, name, Some(&gateway.name), value);
            }
        }
    }
    let name = "offhook_gateway_rests_total";
    family(text, name, "counter", "Times the gateway has said when to come back (503 with Retry-After).");
    for gateway in gateways {
        line(text, name, Some(&gateway.name), gateway.rests);
    }
}

fn sip(text: &mut String, counters: &Counters) {
    for (name, help, value) in [
        ("received", "SIP messages that arrived.", counters.received),
        ("malformed", "Messages that are no SIP; dropped.", counters.malformed),
        ("faulty", "Requests with a fault; answered 400 and the like.", counters.faulty),
        ("untrusted", "Requests from no gateway's network.", counters.untrusted),
        ("over_source", "Messages of sources that send more than they may.", counters.over_source),
        (
            "over_strangers",
            "Messages of strangers beyond what all of them may send.",
            counters.over_strangers,
        ),
        ("challenged", "Requests that were asked for credentials.", counters.challenged),
        ("wrong_credentials", "Requests with wrong credentials.", counters.wrong_credentials),
        ("stale_credentials", "Requests with credentials that were right once.", counters.stale_credentials),
        ("stray_responses", "Responses to nothing that was asked.", counters.stray_responses),
        ("stray_acks", "ACKs of nothing that was answered.", counters.stray_acks),
        ("overload", "Requests refused for a full table.", counters.overload),
        ("retransmissions", "Messages sent again.", counters.retransmissions),
    ] {
        let name = format!("offhook_sip_{name}_total");
        family(text, &name, "counter", help);
        line(text, &name, None, value);
    }
    for (name, help, value) in [
        ("offhook_sip_sessions", "Live SIP sessions.", counters.sessions),
        ("offhook_sip_transactions", "Live SIP transactions.", counters.transactions),
    ] {
        family(text, name, "gauge", help);
        line(text, name, None, value);
    }
}

fn direction(direction: Direction) -> &'static str {
    match direction {
        Direction::Inbound => "inbound",
        Direction::Outbound => "outbound",
    }
}

// Writing to a string cannot fail.
fn family(text: &mut String, name: &str, kind: &str, help: &str) {
    let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
}

/// Names of gateways have no character that a label would have to escape.
fn line(text: &mut String, name: &str, gateway: Option<&str>, value: impl Display) {
    let _ = match gateway {
        Some(gateway) => writeln!(text, "{name}{{gateway=\"{gateway}\"}} {value}"),
        None => writeln!(text, "{name} {value}"),
    };
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// What `operations.md` wants to be told of, in its order and words.
    const WANTED: [(&str, &[&str]); 18] = [
        ("calls active by direction, state", &["offhook_calls", "offhook_calls_live"]),
        ("calls total by direction, result", &["offhook_calls_total", "offhook_call_ends_total"]),
        ("set-up and talk seconds", &["offhook_call_setup_seconds_total", "offhook_call_talk_seconds_total"]),
        ("actions by kind, result", &["offhook_actions_total"]),
        ("RPC by method, code and seconds", &["offhook_rpc_requests_total", "offhook_rpc_seconds_total"]),
        ("events total", &["offhook_events_total"]),
        ("events seq", &["offhook_events_newest"]),
        ("events log bytes", &["offhook_events_log_bytes"]),
        ("events subscriber lag", &["offhook_subscriber_lag_events"]),
        ("webhook deliveries and backlog", &["offhook_webhook_deliveries_total", "offhook_webhook_backlog"]),
        ("RTP packets", &["offhook_rtp_packets_total"]),
        ("RTP lost", &["offhook_rtp_packets_lost_total"]),
        ("RTP jitter", &["offhook_rtp_jitter_seconds"]),
        ("RTP ports free", &["offhook_rtp_ports"]),
        (
            "media tick lag and late frames",
            &["offhook_media_lag_seconds_total", "offhook_media_late_frames_total"],
        ),
        ("recordings", &["offhook_recorded_bytes_total", "offhook_recording_gap_seconds_total"]),
        ("digits by source", &["offhook_digits_total"]),
        ("draining", &["offhook_draining"]),
    ];

    /// What a label may be: of each there are few values, whatever happens.
    const LABELS: [&str; 11] = [
        "code",
        "direction",
        "gateway",
        "hook",
        "kind",
        "method",
        "reason",
        "result",
        "source",
        "state",
        "status",
    ];

    #[test]
    fn what_is_wanted_is_there_in_base_units_and_with_few_labels() {
        let requests = Requests::default();
        requests.count(Some("sys.call.get"), None, Duration::from_millis(1));
        let text = text(&Metrics::default()) + &webhooks(&[]) + &requests.text();
        let families: BTreeSet<&str> =
            text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
        for (what, names) in WANTED {
            for name in names {
                assert!(families.contains(name), "{what}: there is no {name}");
            }
        }
        for line in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
            let (name, kind) = line.split_once(' ').unwrap();
            assert!(name.starts_with("offhook_"), "{name}");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{name} is a {kind}");
            let is_other_unit =
                |word: &str| ["ms", "millis", "milliseconds", "us", "kb", "kib"].contains(&word);
            assert!(!name.split('_').any(is_other_unit), "{name} is in no base unit");
        }
        for labels in text.lines().filter_map(|line| line.split_once('{')?.1.split('}').next()) {
            for label in labels.split(',').filter_map(|label| label.split('=').next()) {
                assert!(LABELS.contains(&label), "{label} may be anything");
            }
        }
    }
}
