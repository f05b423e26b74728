//! Every state and every input: from a beginning all that can happen is tried in each state that can be reached, until no new
//! state turns up. A state is what the calls themselves hold, without names, numbers, texts and times; so two ways that end
//! alike are gone on from once, and the whole is finite.
//!
//! ```text
//!   beginning ─▶ state ─▶ each input ─▶ state (new? then on) …       in each: the promises (`world/checks.rs`)
//!                                            └────▶ drop of all, and what media and disk owe ─▶ nothing is left
//! ```
//! What goes on beside an action (transfers, messages, detection) is left out: it changes no state. Keys are pressed in
//! lone calls only.

mod step;
mod surroundings;

use std::collections::{HashSet, VecDeque};

use offhook_call::id::CallId;

use surroundings::{Beginning, Surroundings};

/// The call that most is asked of, where there are several.
pub(crate) const FIRST: CallId = CallId(1);

/// More than this would be a state that grows.
const MOST_STATES: usize = 20_000;

/// How many states there are, and how many pairs of state and input.
fn explore(beginning: Beginning) -> (usize, usize) {
    let (mut states, mut pairs) = (HashSet::new(), 0);
    let mut open = VecDeque::from([Vec::new()]);
    states.insert(Surroundings::after(beginning, &[]).state());
    while let Some(path) = open.pop_front() {
        let here = Surroundings::after(beginning, &path);
        for step in here.possible() {
            pairs += 1;
            let mut there = path.clone();
            there.push(step);
            let after = Surroundings::after(beginning, &there);
            if states.insert(after.state()) {
                assert!(states.len() < MOST_STATES, "a state grows: {there:?}");
                open.push_back(there);
            }
            after.end();
        }
    }
    (states.len(), pairs)
}

/// Explores; fewer states than there were once mean that something is not reached any more.
fn check(beginning: Beginning, least: usize) {
    let (states, pairs) = explore(beginning);
    println!("{beginning:?}: {states} states, {pairs} pairs of state and input");
    assert!(states >= least, "{states} states: there were {least} and more");
}

#[test]
fn an_inbound_call() {
    check(Beginning::Inbound, 390);
}

#[test]
fn an_outbound_call() {
    check(Beginning::Outbound, 350);
}

#[test]
fn a_parent_and_its_child() {
    check(Beginning::Parent, 1_400);
}

#[test]
fn two_calls_that_are_connected() {
    check(Beginning::Pair, 1_200);
}

#[test]
fn a_conference_and_a_call_that_is_dialled_for_it() {
    check(Beginning::ConferenceAndChild, 100);
}

#[test]
fn a_conference_that_plays_and_records() {
    check(Beginning::ConferenceSounds, 2_000);
}

#[test]
fn a_conference_of_three() {
    check(Beginning::Conference, 10_900);
}
