//! Reliability G7: calls through a network that loses, set up and ended at both ends, and nothing left of them.

use std::time::Duration;

use offhook_call::Config;
use offhook_call::command::{Command, Construct};
use offhook_call::id::CallId;
use offhook_worlds::asks::construct;
use offhook_worlds::node::config;

use crate::leftovers::GONE_WITHIN;
use crate::wire::Wire;
use crate::world::{People, Setting, World};

/// How long a call talks, in milliseconds: longer than any ACK is on its way.
pub(crate) const TALK: u64 = 40_000;

const CALLS: usize = 1_000;

/// A call to somebody who answers.
pub(crate) fn call() -> Command {
    let to_uris = vec!["sip:1@192.0.2.9".to_owned()];
    Command::Construct(Box::new(Construct { to_uris, ..construct() }))
}

/// A call is answered.
pub(crate) fn answer(call: CallId) -> Command {
    Command::Answer { call, max_answer: Duration::from_secs(600), user_data: None, codec: None }
}

/// A thousand calls, half of them each way; how many were set up at both ends.
fn run(seed: u64, loss: u8) -> [usize; 2] {
    let node = Config { max_calls: 2 * CALLS, silence_timeout: None, ..config() };
    let wire = Wire { loss, doubled: 5, delay: 300 };
    let mut world = World::new(seed, Setting::quiet(wire, CALLS, node, People::Polite));
    world.run(None);
    assert_eq!(world.released.len(), CALLS);
    assert!(world.leftovers.aftermath() <= GONE_WITHIN, "{:?}", world.leftovers.aftermath());
    let ours = world.released.iter().filter(|(_, _, released)| released.answer_time.is_some()).count();
    [ours, world.peer.stories.values().filter(|story| story.connected).count()]
}

#[test]
fn every_call_gets_through_where_ten_percent_are_lost() {
    assert_eq!(run(1, 10), [CALLS, CALLS]);
}

#[test]
fn nearly_every_call_gets_through_where_thirty_percent_are_lost() {
    // An INVITE that never arrives (0.3 to the 7th), and an ACK that never does, are the floor of the protocol.
    let connected = run(2, 30);
    assert!(connected.iter().all(|&calls| calls >= 995), "{connected:?}");
}
