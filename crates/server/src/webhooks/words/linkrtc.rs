//! The words of LinkRTC's notify API: how the states of its calls change, which are fewer than ours.
//!
//! ```text
//!   inbound    Initiated ─▶ pending ──────────────────────────▶ confirmed ─▶ dropped
//!   outbound   Initiated ─▶ pending ─▶ calling ─▶ ringing ────▶ (Idle and every action)
//! ```

use offhook_client::wire::{CallDir, CallState, EventKind};
use serde_json::{Value, json};

use super::super::sign::md5;
use super::calls::Calls;
use super::number;

/// The events that say something of that.
pub(super) const EVENTS: [&str; 3] =
    ["sys.call.on_state_changed", "sys.call.on_ringing", "sys.call.on_released"];

/// The states of its calls.
#[derive(Debug, Default)]
pub(in super::super) struct LinkRtc {
    /// Where each call is: its direction, who calls whom, and its state there.
    calls: Calls<Call>,
}

#[derive(Clone, Debug)]
struct Call {
    direction: CallDir,
    from: String,
    to: String,
    state: &'static str,
}

impl LinkRtc {
    /// What an event of the log is there: none or more changes.
    pub(super) fn of(&mut self, seq: u64, event: &EventKind) -> Vec<Value> {
        match event {
            EventKind::StateChanged(changed) if changed.prior_state.is_none() => {
                let call = Call {
                    direction: changed.call_dir,
                    from: number(&changed.from_uri),
                    to: number(&changed.to_uri),
                    state: "pending",
                };
                let begun = told(&changed.res_id, &call, None);
                self.calls.begin(&changed.res_id, seq, call);
                let calling = changed.call_dir == CallDir::Outbound;
                let calling = calling.then(|| self.change(&changed.res_id, "calling")).flatten();
                [begun].into_iter().chain(calling).collect()
            }
            EventKind::Ringing(ringing) => self.change(&ringing.res_id, "ringing").into_iter().collect(),
            EventKind::StateChanged(changed) => match changed.state {
                CallState::Initiated | CallState::Answer | CallState::Released => Vec::new(),
                _ => self.change(&changed.res_id, "confirmed").into_iter().collect(),
            },
            EventKind::Released(released) => {
                let prior = self.calls.end(&released.res_id).map(|call| call.state);
                let call = Call {
                    direction: released.call_dir,
                    from: number(&released.from_uri),
                    to: number(&released.to_uri),
                    state: "dropped",
                };
                vec![told(&released.res_id, &call, prior)]
            }
            _ => Vec::new(),
        }
    }

    /// Since which event calls are known that are not over.
    pub(super) fn since(&self) -> Option<u64> {
        self.calls.since()
    }

    /// A state is told when it is another one than before.
    fn change(&mut self, res_id: &str, state: &'static str) -> Option<Value> {
        let call = self.calls.get(res_id)?;
        let prior = std::mem::replace(&mut call.state, state);
        (prior != state).then(|| told(res_id, call, Some(prior)))
    }
}

fn told(res_id: &str, call: &Call, prior: Option<&str>) -> Value {
    let direction = if call.direction == CallDir::Inbound { "incoming" } else { "outgoing" };
    json!({
        "type": "event.CallStateChanged",
        "data": { "call": {
            "id": res_id, "dir": direction, "current_state": call.state, "prior_state": prior,
            "from": call.from, "to": call.to,
        } },
    })
}

/// `X-LinkRTC-Signature`: of the project, its secret and the time, but neither of the body nor of who sends it. It is there for
/// programs that want it; who wants to know looks at the signature of Standard Webhooks beside it.
pub(super) fn signature(project_sid: &str, app_secret: &str, timestamp: i64) -> String {
    let mut parts =
        [project_sid, app_secret, &timestamp.to_string()].map(|part| md5(part).to_ascii_uppercase());
    parts.sort_unstable();
    md5(&parts.concat()).to_ascii_uppercase()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{changed, released, ringing};
    use super::*;

    /// The vector of `notifications.md`, which is the example of LinkRTC's document too.
    #[test]
    fn the_signature_of_the_document() {
        assert_eq!(signature("Project1", "123abc", 1_453_543_759), "E6E157A9FA805921DA12A86A40CC2A15");
    }

    /// Current and prior state of everything that is told of these events.
    #[track_caller]
    fn check(events: &[EventKind], direction: &str, expected: &[(&str, Option<&str>)]) {
        let mut words = LinkRtc::default();
        let mut told = Vec::new();
        for (seq, event) in (1..).zip(events) {
            told.extend(words.of(seq, event));
        }
        let states: Vec<(&str, Option<&str>)> = told
            .iter()
            .map(|told| {
                let call = &told["data"]["call"];
                assert_eq!((&told["type"], &call["id"]), (&json!("event.CallStateChanged"), &json!("r")));
                assert_eq!(
                    (&call["dir"], &call["from"], &call["to"]),
                    (&json!(direction), &json!("1000"), &json!("2000"))
                );
                (call["current_state"].as_str().unwrap(), call["prior_state"].as_str())
            })
            .collect();
        assert_eq!(states, expected);
        assert_eq!(words.since(), None, "nothing is known of a call that is over");
    }

    #[test]
    fn only_changes_are_told() {
        use CallState::{Answer, Dial, Idle, Initiated, Play, Released};
        let inbound = |state, prior| changed("r", CallDir::Inbound, state, prior);
        check(
            &[
                inbound(Initiated, None),
                inbound(Answer, Some(Initiated)),
                inbound(Idle, Some(Answer)),
                inbound(Play, Some(Idle)),
                inbound(Idle, Some(Play)),
                inbound(Dial, Some(Idle)),
                inbound(Idle, Some(Dial)),
                inbound(Released, Some(Idle)),
                released("r", CallDir::Inbound, 200, Some(5)),
            ],
            "incoming",
            &[("pending", None), ("confirmed", Some("pending")), ("dropped", Some("confirmed"))],
        );
        let outbound = |state, prior| changed("r", CallDir::Outbound, state, prior);
        check(
            &[
                outbound(Initiated, None),
                ringing("r"),
                outbound(Idle, Some(Initiated)),
                released("r", CallDir::Outbound, 200, Some(5)),
            ],
            "outgoing",
            &[
                ("pending", None),
                ("calling", Some("pending")),
                ("ringing", Some("calling")),
                ("confirmed", Some("ringing")),
                ("dropped", Some("confirmed")),
            ],
        );
        // One that is told from its middle on, and one that is refused at once.
        check(&[ringing("r"), released("r", CallDir::Inbound, 487, None)], "incoming", &[("dropped", None)]);
        check(
            &[outbound(Initiated, None), released("r", CallDir::Outbound, 486, None)],
            "outgoing",
            &[("pending", None), ("calling", Some("pending")), ("dropped", Some("calling"))],
        );
    }
}
