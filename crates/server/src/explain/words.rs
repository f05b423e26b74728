//! A time line in the words of the API, made when somebody asks for it.

use std::collections::BTreeMap;

use offhook_call::event::UnixMs;
use offhook_call::id::NodeId;
use offhook_client::wire;
use offhook_media::sdp::{Outline, outline};

use super::Explanation;
use super::step::{Asked, Media, Message, Shown, Step, Timed, Value};
use crate::call_log::masked;
use crate::rpc::{error_reason, names, reply};

/// What is known of a call, as the API tells it.
pub(crate) fn wire(node: NodeId, explanation: &Explanation) -> wire::Explained {
    let parties = &explanation.parties;
    wire::Explained {
        res_id: node.res_id(explanation.call),
        state: names::state(explanation.state),
        call_dir: names::direction(parties.direction),
        from_uri: masked(&parties.from_uri),
        to_uri: masked(&parties.to_uri),
        gateway: parties.gateway.as_ref().map(ToString::to_string),
        sip_call_id: explanation.sip_call_id.as_deref().map(str::to_owned),
        trace_id: explanation.trace_id.to_string(),
        steps: explanation.steps.iter().map(|timed| told(node, timed)).collect(),
        left_out: explanation.left_out,
        media: reply::media_stats(&explanation.media),
    }
}

fn told(node: NodeId, Timed { at: UnixMs(time_ms), step }: &Timed) -> wire::TimedStep {
    let step = match step {
        Step::Sip(message) => wire::Step::Sip(sip(message)),
        Step::Command(Asked { method, shown }) => {
            wire::Step::Command { method: (*method).to_owned(), params: params(shown) }
        }
        Step::Reply { method, error } => {
            let error = error.as_deref().map(|error| error_reason(node, error.clone()));
            wire::Step::Reply { method: (*method).to_owned(), error }
        }
        Step::State { state, prior } => {
            wire::Step::State { state: names::state(*state), prior_state: prior.map(names::state) }
        }
        Step::Event { name, error, shown } => {
            let error = error.map(|error| error.code().to_owned());
            wire::Step::Event { name: (*name).to_owned(), error, params: params(shown) }
        }
        Step::Media(media) => wire::Step::Media(agreed(media)),
    };
    wire::TimedStep { time_ms: *time_ms, step }
}

fn sip(message: &Message) -> wire::SipStep {
    let (status, phrase) = message.status.clone().unzip();
    wire::SipStep {
        way: if message.is_out { wire::Way::Out } else { wire::Way::In },
        transport: message.transport.to_string(),
        local: message.local.to_string(),
        remote: message.remote.to_string(),
        method: message.method.to_string(),
        status,
        phrase: phrase.map(String::from),
        cseq: message.cseq,
        sdp: message.sdp.as_deref().and_then(|sdp| outline(sdp).ok()).map(described),
    }
}

fn described(outline: Outline) -> wire::SdpOutline {
    wire::SdpOutline {
        codecs: outline.codecs,
        telephone_events: outline.telephone_events,
        address: outline.address,
        port: outline.port,
        direction: outline.direction.name().to_owned(),
        ptime_ms: outline.ptime_ms,
        srtp: outline.suites,
    }
}

fn agreed(media: &Media) -> wire::MediaStep {
    wire::MediaStep {
        codec: media.codec.name().to_owned(),
        remote: media.remote.to_string(),
        direction: media.direction.name().to_owned(),
        ptime_ms: media.ptime_ms,
        telephone_events: media.telephone_events,
        srtp: media.suite.map(|suite| suite.name().to_owned()),
    }
}

fn params(shown: &Shown) -> BTreeMap<String, serde_json::Value> {
    let value = |value: &Value| match value {
        Value::Number(number) => (*number).into(),
        Value::Yes(yes) => (*yes).into(),
        Value::Word(word) => (*word).into(),
        Value::Text(text) => (**text).into(),
    };
    shown.0.iter().map(|(name, shown)| ((*name).to_owned(), value(shown))).collect()
}
