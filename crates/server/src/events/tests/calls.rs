//! Calls in the database and events in the log, through kills at every moment: each call that was heard of has exactly one
//! `on_released` and one record.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicBool;

use offhook_call::event::UnixMs;
use offhook_client::wire::{self, OnStateChanged};

use super::super::calls;
use super::*;
use crate::call_log::testing::{said, whose};
use crate::clock;
use crate::store::tests::{live, over};
use crate::store::{self, Ledger, Live, Note};

/// A log with a database beside it.
struct Node {
    rig: Rig,
}

impl Node {
    /// The process begins, and tells what the last one could not.
    fn open(dir: &Dir) -> Self {
        let mut rig = Rig::open(dir, KEEP);
        let mut ledger = Ledger::open(&dir.0, None).unwrap();
        let Rig { writer, store, .. } = &mut rig;
        store::recover(&mut ledger, writer, store.last_found(), UnixMs(1_000)).unwrap();
        record_calls(writer, store, ledger);
        Self { rig }
    }

    fn begin(&mut self, number: u64) {
        self.rig.writer.note(&whose(), Note::Lives(Box::new(live(number))));
        let Live { res_id, call_dir, from_uri, to_uri, gateway, .. } = live(number);
        let (state, prior_state) = (wire::CallState::Initiated, None);
        let from_name = None;
        let changed =
            OnStateChanged { res_id, state, prior_state, call_dir, from_uri, from_name, to_uri, gateway };
        self.rig.writer.append(0, EventKind::StateChanged(changed));
    }

    fn end(&mut self, number: u64) {
        let note = over(number, 0, self.rig.writer.next());
        let Note::Over(over) = &note else { panic!() };
        let event = store::tests::released(over);
        self.rig.writer.note(&whose(), note.clone());
        self.rig.writer.append(0, event);
    }
}

/// How often each call's beginning and end are in the log on the disk.
fn told(dir: &Dir) -> BTreeMap<String, (usize, usize)> {
    let mut told = BTreeMap::<String, (usize, usize)>::new();
    for file in fs::read_dir(&dir.0).unwrap() {
        let path = file.unwrap().path();
        if path
            .extension()
            .is_some_and(|extension| extension == "db" || extension == "db-wal" || extension == "db-shm")
        {
            continue;
        }
        for line in fs::read(&path).unwrap().split(|&byte| byte == b'\n') {
            let Some(at) = line.iter().position(|&byte| byte == b'{') else { continue };
            let Ok(event) = serde_json::from_slice::<Value>(&line[at..]) else { continue };
            let Some(res_id) = event["params"]["res_id"].as_str() else { continue };
            let counts = told.entry(res_id.to_owned()).or_default();
            match event["type"].as_str() {
                Some("sys.call.on_state_changed") => counts.0 += 1,
                Some("sys.call.on_released") => counts.1 += 1,
                _ => {}
            }
        }
    }
    told
}

#[test]
fn every_call_that_was_heard_of_is_released_once_over_any_kill() {
    for seed in 0..60 {
        let dir = dir();
        let mut random = fastrand::Rng::with_seed(seed);
        let (mut next, mut alive) = (1, BTreeSet::new());
        for _ in 0..random.usize(1..6) {
            let mut node = Node::open(&dir);
            // What lived before the kill is nobody's any more.
            alive.clear();
            for _ in 0..random.usize(0..60) {
                match random.u8(0..10) {
                    0..4 => {
                        node.begin(next);
                        alive.insert(next);
                        next += 1;
                    }
                    4..7 => {
                        let ended = alive.iter().copied().nth(random.usize(0..=alive.len().max(1) - 1));
                        if let Some(number) = ended {
                            alive.remove(&number);
                            node.end(number);
                        }
                    }
                    7 | 8 => node.rig.store.commit().unwrap(),
                    // Killed, or not, between the database and the log.
                    _ => node.rig.store.commit_calls().unwrap(),
                }
            }
            match random.u8(0..3) {
                0 => node.rig.store.commit().unwrap(),
                1 => node.rig.store.commit_calls().unwrap(),
                _ => {}
            }
        }
        let mut node = Node::open(&dir);
        node.rig.store.commit().unwrap();
        let records = store::page(&dir.0, 0, 1_000).unwrap();
        let recorded: BTreeSet<&str> = records.iter().map(|record| &*record.res_id).collect();
        assert_eq!(recorded.len(), records.len(), "seed {seed}: one record a call");
        let told = told(&dir);
        for (call, (begun, released)) in &told {
            assert_eq!(*released, 1, "seed {seed}: {call}, begun {begun} times, is released once");
            assert!(recorded.contains(&**call), "seed {seed}: {call} is recorded");
        }
        assert_eq!(told.len(), records.len(), "seed {seed}: nothing is recorded that was not told");
    }
}

#[test]
fn a_call_that_is_not_recorded_is_told_by_its_names() {
    let dir = dir();
    let (notes, calls) = calls::open(Ledger::open(&dir.0, None).unwrap());
    drop(calls);
    let lines = said(|| notes.send(&whose(), over(1, 0, 1)));
    assert_eq!(lines, ["ERROR the database takes nothing: a call or conference is not recorded"]);
}

/// The trace of its lines is that of its events too, where somebody has named it.
#[test]
fn a_call_that_was_cut_off_keeps_the_trace_that_was_named_for_it() {
    for trace_is_given in [true, false] {
        let dir = dir();
        let mut node = Node::open(&dir);
        let trace_id = whose().trace_id.map(|trace| trace.to_string());
        let live = Live { trace_id: trace_id.clone(), trace_is_given, ..live(1) };
        node.rig.writer.note(&whose(), Note::Lives(Box::new(live)));
        node.rig.store.commit().unwrap();
        drop(node);
        let node = Node::open(&dir);
        let released = node.rig.log.entries.iter().find(|entry| entry.is_last()).unwrap().clone();
        let told = released.trace_id().map(|trace| trace.to_string());
        assert_eq!(told, trace_id.filter(|_| trace_is_given));
    }
}

/// Who is told of a call, or that it is recorded, is told once that is in the database: a kill a moment later forgets nothing.
#[test]
fn nobody_is_told_what_a_kill_would_take_back() {
    let dir = dir();
    let mut node = Node::open(&dir);
    let told = Arc::new(AtomicBool::new(false));
    let tell = told.clone();
    node.rig.writer.note(&whose(), Note::Lives(Box::new(live(1))));
    node.rig.writer.once_noted(Then::new(move || tell.store(true, Ordering::Release)));
    assert!(!told.load(Ordering::Acquire), "nothing is written yet");
    node.rig.store.commit_calls().unwrap();
    assert!(told.load(Ordering::Acquire));
    drop(node);
    let mut node = Node::open(&dir);
    node.rig.store.commit().unwrap();
    assert_eq!(store::page(&dir.0, 0, 10).unwrap().len(), 1, "the call that was cut off");
}

/// Whoever else writes the database keeps us out: events wait a moment, and go on; records are written when they can be.
#[test]
fn a_database_that_somebody_else_writes_holds_up_events_for_a_moment_only() {
    let dir = dir();
    let ledger = Ledger::open(&dir.0, None).unwrap();
    let (notes, mut calls) = calls::open(ledger);
    let other = rusqlite::Connection::open(dir.0.join(store::FILE)).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    notes.send(&whose(), over(1, 0, 1));
    let begin = clock::now().mono;
    let error = calls.commit(begin, 0, 0).unwrap_err().to_string();
    assert!(error.starts_with("call records: database is locked"), "{error}");
    let told = Arc::new(AtomicBool::new(false));
    let tell = told.clone();
    notes.then(Then::new(move || tell.store(true, Ordering::Release)));
    assert!(calls.commit(begin + PATIENCE / 2, 0, 0).is_err(), "still waited for");
    assert!(told.load(Ordering::Acquire), "replies do not wait for it");
    assert!(calls.commit(begin + PATIENCE, 0, 0).is_ok(), "not any longer");
    notes.send(&whose(), over(2, 0, 2));
    assert!(calls.commit(begin + PATIENCE * 2, 0, 0).is_ok());
    assert_eq!(store::page(&dir.0, 0, 10).unwrap(), []);
    other.execute_batch("COMMIT").unwrap();
    // It is tried once a second.
    calls.commit(begin + PATIENCE * 2 + PATIENCE / 2, 0, 0).unwrap();
    assert_eq!(store::page(&dir.0, 0, 10).unwrap(), []);
    calls.commit(begin + PATIENCE * 3, 0, 0).unwrap();
    assert_eq!(store::page(&dir.0, 0, 10).unwrap().len(), 2);
    assert!(calls.commit(begin + PATIENCE * 3, 0, 0).is_ok());
}

/// Past the patience of its readers the log goes on without the database; what was told by then is not told again by the next run,
/// which records it as it was.
#[test]
fn a_call_whose_record_is_not_taken_is_released_once_over_a_kill() {
    let dir = dir();
    let mut node = Node::open(&dir);
    for number in 1..=3 {
        node.begin(number);
    }
    node.rig.store.commit().unwrap();
    let other = rusqlite::Connection::open(dir.0.join(store::FILE)).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    node.end(1);
    let (told_while_waiting, began) = (node.rig.log.shown(), clock::now().mono);
    assert!(node.rig.store.commit().is_err());
    assert_eq!(node.rig.log.shown(), told_while_waiting, "it is waited for");
    while node.rig.store.commit().is_err() {
        assert!(clock::now().mono < began + PATIENCE * 3, "not that long");
    }
    // While the database is left alone: one more ends, one begins, and one both.
    node.end(2);
    node.begin(4);
    node.begin(5);
    node.end(5);
    node.rig.store.commit().unwrap();
    assert_eq!(node.rig.log.shown(), node.rig.log.newest(), "all of it is told");
    drop((node, other));
    for run in 0..2 {
        let mut node = Node::open(&dir);
        node.rig.store.commit().unwrap();
        let expected: BTreeMap<_, _> = (1..=5).map(|call| (live(call).res_id, (1, 1))).collect();
        assert_eq!(told(&dir), expected, "run {run}");
        let records = store::page(&dir.0, 0, 10).unwrap();
        let mut causes: Vec<_> = records.iter().map(|record| (&*record.res_id, record.cause)).collect();
        causes.sort_unstable();
        let of = |call: u64, cause| (live(call).res_id, cause);
        let expected = [of(1, 200), of(2, 200), of(3, 500), of(4, 500), of(5, 200)];
        assert_eq!(causes, expected.each_ref().map(|(call, cause)| (&**call, *cause)), "run {run}");
    }
}
