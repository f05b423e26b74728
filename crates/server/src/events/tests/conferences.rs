//! Conferences in the database and events in the log, through kills at every moment: who was heard to come is heard to go, and each
//! conference is over once, at last.

use std::collections::BTreeMap;

use offhook_call::event::UnixMs;
use offhook_client::wire::{self, ConferenceOver};

use super::*;
use crate::call_log::testing::whose;
use crate::store::conference::{Change, Kind};
use crate::store::{self, Ledger, Note};

fn res_id(number: u64) -> String {
    format!("0.0.0-sys.conf-{number}")
}

fn call(number: u64) -> String {
    format!("0.0.0-sys.call-{number}")
}

/// A log with a database beside it, and the conferences of this run with their members.
struct Node {
    rig: Rig,
    rooms: BTreeMap<u64, Vec<u64>>,
}

impl Node {
    /// The process begins, and tells what the last one could not.
    fn open(dir: &Dir) -> Self {
        let mut rig = Rig::open(dir, KEEP);
        let mut ledger = Ledger::open(&dir.0, None).unwrap();
        let Rig { writer, store, .. } = &mut rig;
        store::recover(&mut ledger, writer, store.last_found(), UnixMs(90_000)).unwrap();
        record_calls(writer, store, ledger);
        Self { rig, rooms: BTreeMap::new() }
    }

    fn note(&mut self, room: u64, kind: Kind) {
        let change = Change { res_id: res_id(room), kind };
        self.rig.writer.note(&whose(), Note::Conference(Box::new(change)));
    }

    fn construct(&mut self, room: u64) {
        self.note(room, Kind::Opened { begin_ms: 10_000, user_data: Some(format!("room {room}")) });
        self.rooms.insert(room, Vec::new());
    }

    fn enter(&mut self, room: u64, member: u64) {
        self.note(room, Kind::Entered { call: call(member), seq: self.rig.writer.next() });
        let members = self.rooms.get_mut(&room).unwrap();
        members.push(member);
        let (res_id, call_res_id, user_data) = (res_id(room), call(member), Some(format!("room {room}")));
        let entered = wire::OnPartEntered { res_id, call_res_id, parts: members.len() as u64, user_data };
        self.rig.writer.append(0, EventKind::PartEntered(entered));
    }

    fn exit(&mut self, room: u64) {
        let members = self.rooms.get_mut(&room).unwrap();
        let Some(member) = members.pop() else { return };
        let parts = members.len() as u64;
        self.note(room, Kind::Exited { call: call(member), parts, seq: self.rig.writer.next() });
        let (res_id, call_res_id, user_data) = (res_id(room), call(member), Some(format!("room {room}")));
        let exited = wire::OnPartExited { res_id, call_res_id, parts, user_data };
        self.rig.writer.append(0, EventKind::PartExited(exited));
    }

    fn release(&mut self, room: u64) {
        while !self.rooms[&room].is_empty() {
            self.exit(room);
        }
        self.rooms.remove(&room);
        let (reason, seq) = (ConferenceOver::Released, self.rig.writer.next());
        self.note(room, Kind::Over { end_ms: 20_000, reason, seq });
        let (res_id, user_data) = (res_id(room), Some(format!("room {room}")));
        let released = wire::OnConferenceReleased { res_id, begin_time: 10, end_time: 20, user_data, reason };
        self.rig.writer.append(0, EventKind::ConferenceReleased(released));
    }

    /// Something, or a commit of all or a part.
    fn live(&mut self, random: &mut fastrand::Rng, next: &mut u64) {
        *next += 1;
        let room = self.rooms.keys().copied().nth(random.usize(0..=self.rooms.len()));
        match (random.u8(0..10), room) {
            (0 | 1, _) => self.construct(*next),
            (2..5, Some(room)) => self.enter(room, *next),
            // One who was in before may come again.
            (5, Some(room)) => {
                let again = random.u64(1..=*next);
                if !self.rooms[&room].contains(&again) {
                    self.enter(room, again);
                }
            }
            (6, Some(room)) => self.exit(room),
            (7, Some(room)) => self.release(room),
            (8, _) => self.rig.store.commit().unwrap(),
            // Killed, or not, between the database and the log.
            _ => self.rig.store.commit_calls().unwrap(),
        }
    }
}

/// The events on the disk, in their order.
fn events(dir: &Dir) -> Vec<Value> {
    let mut events = Vec::new();
    for file in fs::read_dir(&dir.0).unwrap() {
        let path = file.unwrap().path();
        if path.file_name().unwrap().to_string_lossy().starts_with(store::FILE) || path.is_dir() {
            continue;
        }
        for line in fs::read(&path).unwrap().split(|&byte| byte == b'\n') {
            let event = line.iter().position(|&byte| byte == b'{').map(|at| &line[at..]);
            events.extend(event.and_then(|event| serde_json::from_slice::<Value>(event).ok()));
        }
    }
    events.sort_by_key(|event| event["seq"].as_u64());
    events
}

/// What an application believes that hears the log: every event makes sense to it.
fn believe(seed: u64, events: &[Value]) -> BTreeMap<String, Option<Vec<String>>> {
    let mut rooms: BTreeMap<String, Option<Vec<String>>> = BTreeMap::new();
    for event in events {
        let text = |name: &str| event["params"][name].as_str().unwrap_or_default().to_owned();
        let room = rooms.entry(text("res_id")).or_insert_with(|| Some(Vec::new()));
        let Some(members) = room else { panic!("seed {seed}: after its end: {event}") };
        match event["type"].as_str().unwrap() {
            "sys.conf.on_part_entered" => {
                assert!(!members.contains(&text("call_res_id")), "seed {seed}: twice: {event}");
                members.push(text("call_res_id"));
            }
            "sys.conf.on_part_exited" => {
                let at = members.iter().position(|member| *member == text("call_res_id"));
                members.remove(at.unwrap_or_else(|| panic!("seed {seed}: was not in: {event}")));
            }
            "sys.conf.on_released" => {
                assert_eq!(*members, [""; 0], "seed {seed}: {event}");
                let end = match event["params"]["reason"].as_str().unwrap() {
                    "cut_off" => 90,
                    "released" => 20,
                    other => panic!("seed {seed}: {other}"),
                };
                assert_eq!(
                    (&event["params"]["begin_time"], &event["params"]["end_time"]),
                    (&json!(10), &json!(end))
                );
                *room = None;
                continue;
            }
            other => panic!("{other}"),
        }
        assert_eq!(event["params"]["parts"].as_u64(), Some(members.len() as u64), "seed {seed}: {event}");
        let mark = text("res_id").replace("0.0.0-sys.conf-", "room ");
        assert_eq!(text("user_data"), mark);
    }
    rooms
}

#[test]
fn every_conference_that_was_heard_of_ends_once_over_any_kill() {
    let mut cut_off = 0;
    for seed in 0..60 {
        let dir = dir();
        let mut random = fastrand::Rng::with_seed(seed);
        let mut next = 0;
        for _ in 0..random.usize(1..6) {
            let mut node = Node::open(&dir);
            for _ in 0..random.usize(0..80) {
                node.live(&mut random, &mut next);
            }
            match random.u8(0..3) {
                0 => node.rig.store.commit().unwrap(),
                1 => node.rig.store.commit_calls().unwrap(),
                _ => {}
            }
        }
        // The last one is killed too before it has told, and again.
        Node::open(&dir).rig.store.commit_calls().unwrap();
        let mut node = Node::open(&dir);
        node.construct(1_000_000);
        node.rig.store.commit().unwrap();
        node.release(1_000_000);
        node.rig.store.commit().unwrap();
        let events = events(&dir);
        for (room, members) in believe(seed, &events) {
            assert_eq!(members, None, "seed {seed}: {room} is over");
        }
        cut_off += events.iter().filter(|event| event["params"]["reason"] == "cut_off").count();
        drop(node);
        // What is told is not told again.
        let mut node = Node::open(&dir);
        node.rig.store.commit().unwrap();
        assert_eq!(self::events(&dir).len(), events.len(), "seed {seed}");
    }
    assert!(cut_off > 100, "{cut_off}");
}
