//! Other gateways and other limits while calls are up.

use std::time::Duration;

use offhook_call::command::Request;
use offhook_call::gateway::Gateway;
use offhook_call::id::RequestId;
use offhook_call::{Config, Output};
use offhook_sip::event as sip;

use crate::rig::{Rig, call_to, config, gateway};

fn asked(number: u8, name: &str) -> Gateway {
    Gateway { ping: Some(Duration::from_secs(30)), ..gateway(name, &[number]) }
}

fn replace(rig: &mut Rig, gateways: Vec<Gateway>) -> Vec<String> {
    rig.calls.set_gateways(gateways);
    rig.outputs()
        .into_iter()
        .map(|output| match output {
            Output::Sip(sip::Command::Ping(ping)) => format!("ping {}", ping.gateway),
            Output::Sip(sip::Command::Unping { gateway }) => format!("unping {gateway}"),
            other => panic!("{other:?}"),
        })
        .collect()
}

/// A gateway that is the same is asked on, and what is known of it stays known.
#[test]
fn only_what_has_changed_is_done_anew() {
    let mut rig = Rig::new();
    assert_eq!(replace(&mut rig, vec![asked(1, "one"), asked(2, "two")]), ["ping one", "ping two"]);
    for name in ["one", "two"] {
        let (gateway, up, status) = (name.into(), false, 503);
        rig.sip(sip::Event::Gateway { gateway, up, status });
    }
    rig.outputs();
    let changed = Gateway { max_calls: 3, ..asked(2, "two") };
    let done = replace(&mut rig, vec![asked(3, "three"), asked(1, "one"), changed]);
    assert_eq!(done, ["unping two", "ping three", "ping two"]);
    let known = rig.calls.gateways(rig.now().mono);
    let up: Vec<_> = known.iter().map(|gateway| (&*gateway.name, gateway.up)).collect();
    assert_eq!(up, [("three", None), ("one", Some(false)), ("two", None)]);
    assert_eq!(replace(&mut rig, vec![asked(1, "one")]).len(), 2, "two are asked no more");
}

#[test]
fn fewer_calls_than_there_are_end_none() {
    let mut rig = Rig::new();
    let construct = |rig: &mut Rig, id: u64| {
        let request = Request { id: RequestId(id), command: call_to(&["sip:100@192.0.2.9"]) };
        rig.calls.request(rig.now(), request);
        rig.outputs().iter().any(|output| matches!(output, Output::Reply { result: Ok(_), .. }))
    };
    assert!(construct(&mut rig, 1) && construct(&mut rig, 2));
    rig.calls.set_limits(&Config { max_calls: 1, ..config() });
    assert_eq!(rig.calls.live(), 2);
    assert!(!construct(&mut rig, 3));
    rig.calls.set_limits(&Config { max_calls: 3, ..config() });
    assert!(construct(&mut rig, 4));
}
