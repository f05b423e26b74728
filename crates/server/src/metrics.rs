//! `/metrics`: how things are, in the text that Prometheus reads (exposition format 0.0.4). Names of gateways, ids of web
//! hooks and words of the API are the only labels: no calls and no people.

mod totals;

use std::fmt::{Display, Write};
use std::time::Duration;

use offhook_call::gateway::GatewayStatus;
use offhook_client::wire::{WebhookInfo, WebhookState};
use offhook_sip::Counters;

use crate::store::CopyStatus;

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
    /// Conferences that have not been released.
    pub conferences: usize,
    /// Pairs of ports that wait for the next calls.
    pub spare_ports: usize,
    /// The number of the newest event.
    pub events_newest: u64,
    /// Events that are not on the disk.
    pub events_unwritten: u64,
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
