//! Reliability G23: five hundred far ends of each sort that never do what they should. Each call is gone, and told so,
//! within what is configured and one second, and nothing is left of it.

use std::time::Duration;

use offhook_call::Config;
use offhook_call::command::{Command, Construct};
use offhook_worlds::asks::construct;
use offhook_worlds::node::config;

use crate::rude::Script;
use crate::wire::Wire;
use crate::world::{People, Setting, World};

const CALLS: usize = 500;

/// How long a far end that has agreed to send may be silent.
const SILENCE: Duration = Duration::from_secs(60);
/// How long it may ring.
const RING: Duration = Duration::from_secs(5);
/// 64·T1: how long a transaction waits (RFC 3261 §17).
const TRANSACTION: Duration = Duration::from_secs(32);
/// Timer C, beyond which an INVITE is given up that nobody answers (§16.6), as the endpoint's and the calls' are configured.
const NO_ANSWER: Duration = Duration::from_secs(180);
/// A session of 90 s is ended a third before that (RFC 4028 §10).
const EXPIRY: Duration = Duration::from_secs(60);

/// A call to the far end, whatever it does.
pub(crate) fn call() -> Command {
    let to_uris = vec!["sip:1@192.0.2.10".to_owned()];
    Command::Construct(Box::new(Construct { to_uris, max_ring: RING, ..construct() }))
}

/// Calls with far ends that follow one script: after how long since its beginning each is over. They are answered within
/// `answered`, and their end is due so long after that.
fn check(script: Script, silence: Option<Duration>, most: Duration) {
    let node = Config { max_calls: 2 * CALLS, silence_timeout: silence, ..config() };
    let setting = Setting {
        all_over: Duration::from_secs(900),
        ..Setting::quiet(Wire::GOOD, CALLS, node, People::Waiting(script))
    };
    let mut world = World::new(7, setting);
    world.run(None);
    assert_eq!(world.released.len(), CALLS, "{script:?}");
    for (at, call, released) in &world.released {
        let since = released.answer_time.unwrap_or(released.begin);
        let told = offhook_worlds::node::EPOCH + i64::try_from(at.as_millis()).expect("some years");
        let lasted = Duration::from_millis(u64::try_from(told - since.0).expect("forward"));
        assert!(
            lasted <= most + Duration::from_secs(1),
            "{script:?} {call:?} lasted {lasted:?}: {released:?}"
        );
        assert!(
            lasted + Duration::from_secs(1) >= most,
            "{script:?} {call:?} lasted {lasted:?}: {released:?}"
        );
    }
}

#[test]
fn a_far_end_that_says_nothing_is_given_up() {
    check(Script::Silent, None, TRANSACTION);
}

#[test]
fn a_far_end_that_never_gives_a_final_answer_is_given_up() {
    check(Script::Trying, None, NO_ANSWER);
    check(Script::RingForEver, None, RING);
}

#[test]
fn a_far_end_that_never_acknowledges_is_hung_up() {
    // Before the answer, which is asked for a tenth of a second after the call came in.
    check(Script::NoAck, None, TRANSACTION);
}

#[test]
fn a_far_end_whose_bye_was_lost_is_hung_up_for_its_silence() {
    check(Script::Vanish, Some(SILENCE), SILENCE);
}

#[test]
fn a_session_that_nobody_refreshes_is_ended() {
    check(Script::Expire, None, EXPIRY);
}
