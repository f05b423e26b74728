//! From the calls' replies to the results of the API, by hand.

use offhook_call::event::UnixMs;
use offhook_call::gateway::GatewayStatus;
use offhook_call::{Reply, Snapshot};
use offhook_client::wire;
use offhook_media::event::LegStats;

use super::method::Node;
use super::names;

pub(crate) fn done(reply: &Reply) -> Option<()> {
    matches!(reply, Reply::Done).then_some(())
}

pub(crate) fn recording(reply: Reply) -> Option<wire::Recording> {
    if let Reply::Recording { file } = reply { Some(wire::Recording { record_file: file }) } else { None }
}

pub(crate) fn message(reply: &Reply) -> Option<wire::MessageSent> {
    if let Reply::Message(message) = reply { Some(wire::MessageSent { message_id: message.0 }) } else { None }
}

pub(crate) fn gateway(gateway: GatewayStatus) -> wire::GatewayInfo {
    wire::GatewayInfo {
        name: gateway.name.to_string(),
        addresses: gateway.addresses,
        pinged: gateway.pinged,
        up: gateway.up,
        registered: gateway.registered,
        calls: gateway.calls as u64,
        max_calls: gateway.max_calls as u64,
        calls_per_second: gateway.max_calls_per_second,
        // A rest that is not over yet is not 0.
        rest_seconds: gateway
            .rest
            .map(|rest| u64::try_from(rest.as_millis().div_ceil(1000)).unwrap_or(u64::MAX)),
    }
}

pub(crate) fn call_info(node: &Node, call: Snapshot) -> wire::CallInfo {
    let seconds = |time: UnixMs| time.0.div_euclid(1000);
    wire::CallInfo {
        res_id: node.id.res_id(call.call),
        state: names::state(call.state),
        call_dir: names::direction(call.direction),
        from_uri: call.from_uri,
        from_name: call.from_name,
        to_uri: call.to_uri,
        gateway: call.gateway.map(|name| name.to_string()),
        begin_time: seconds(call.begin),
        answer_time: call.answer_time.map(seconds),
        user_data: call.user_data,
        ipsc_info: wire::IpscInfo { process_id: node.process_id, call_id: call.sip_call_id },
        codec: call.codec.map(|codec| codec.name().to_owned()),
        srtp: call.srtp.map(|suite| suite.name().to_owned()),
        remote_media: call.remote_media.map(|address| address.to_string()),
        local_port: call.local_port.map(|port| port.0),
        connected_to: call.connected_to.map(|call| node.id.res_id(call)),
        conf_res_id: call.conference.map(|conference| node.id.conf_res_id(conference)),
        media: media_stats(&call.stats),
    }
}

pub(crate) fn media_stats(stats: &LegStats) -> wire::MediaStats {
    wire::MediaStats {
        packets_sent: stats.packets_sent,
        bytes_sent: stats.bytes_sent,
        packets_received: stats.packets_received,
        bytes_received: stats.bytes_received,
        packets_lost: stats.packets_lost,
        packets_late: stats.packets_late,
        packets_refused: stats.packets_refused,
        packets_not_authentic: stats.packets_not_authentic,
        jitter_ms: milliseconds(stats.jitter_ms),
        round_trip_ms: stats.round_trip_ms.map(milliseconds),
        remote_lost: stats.remote_lost,
        concealed_ms: stats.concealed_ms,
        mos: stats.mos.map(mos),
    }
}

/// A duration as it is told: a microsecond is less than anybody measures.
pub(crate) fn milliseconds(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

/// An estimate of how a call sounds, which has no more than two decimals to tell.
pub(crate) fn mos(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_measured_is_told_with_the_digits_that_mean_something() {
        let stats = LegStats {
            jitter_ms: 0.123_456_789,
            round_trip_ms: Some(31.499_999_999),
            mos: Some(4.399_723_863_235_403),
            ..LegStats::default()
        };
        let told = serde_json::to_value(media_stats(&stats)).unwrap();
        let digits = |name: &str| told[name].to_string();
        assert_eq!(digits("jitter_ms"), "0.123");
        assert_eq!(digits("round_trip_ms"), "31.5");
        assert_eq!(digits("mos"), "4.4");
    }
}
