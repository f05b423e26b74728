//! The database by itself: pages, columns, what is old, and files that are not ours.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use offhook_client::wire::CallDir;

use super::live::Dialog;
use super::*;

pub(crate) use super::note::released;

/// Goes with its directory.
pub(crate) struct Dir(pub(crate) PathBuf);

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub(crate) fn dir() -> Dir {
    static DIRS: AtomicU64 = AtomicU64::new(0);
    let (process, number) = (std::process::id(), DIRS.fetch_add(1, Ordering::Relaxed));
    Dir(std::env::temp_dir().join(format!("offhook-store-{process}-{number}")))
}

pub(crate) fn live(number: u64) -> Live {
    Live {
        res_id: format!("0.0.0-sys.call-{number}"),
        process_id: 7,
        call_dir: CallDir::Inbound,
        from_uri: "sip:1000@192.0.2.10".to_owned(),
        to_uri: "sip:2000@192.0.2.20".to_owned(),
        gateway: Some("carrier".to_owned()),
        sip_call_id: Some(format!("{number}@192.0.2.10")),
        trace_id: None,
        trace_is_given: false,
        begin_time_ms: 1_800_000_000_000,
        answer_time_ms: None,
        user_data: None,
        codec: None,
        recordings: Vec::new(),
        remains: None,
    }
}

/// The end of a call at so many milliseconds of the test's time.
pub(crate) fn over(number: u64, end_ms: i64, seq: u64) -> Note {
    let record = CallRecord {
        duration_ms: Some(40_000),
        talk_ms: Some(39_000),
        cause: 200,
        packets_lost: -2,
        jitter_ms: 1.5,
        mos: Some(4.25),
        recordings: vec!["a.wav".to_owned(), "b \"c\", d.wav".to_owned()],
        ..live(number).cut_off(end_ms)
    };
    Note::Over(Box::new(Over { record, process_id: 7, seq }))
}

fn ids(records: &[CallRecord]) -> Vec<&str> {
    records.iter().map(|record| record.res_id.rsplit('-').next().unwrap()).collect()
}

#[test]
fn records_are_read_page_by_page_beside_the_writer() {
    let dir = dir();
    assert_eq!(page(&dir.0, 0, 10).unwrap(), [], "before there is a database");
    let mut ledger = Ledger::open(&dir.0, None).unwrap();
    for number in 1..=5 {
        ledger.write(&[over(number, 1_000, number)], 0, 0).unwrap();
    }
    let first = page(&dir.0, 0, 2).unwrap();
    assert_eq!(ids(&first), ["1", "2"]);
    let second = page(&dir.0, first[1].id, 2).unwrap();
    assert_eq!(ids(&second), ["3", "4"]);
    assert_eq!(ids(&page(&dir.0, second[1].id, 2).unwrap()), ["5"]);
    let Note::Over(written) = over(1, 1_000, 1) else { panic!() };
    assert_eq!(first[0], CallRecord { id: first[0].id, ..written.record }, "as it was written");
    // The same call a second time changes nothing.
    ledger.write(&[over(1, 9_999, 77)], 0, 0).unwrap();
    assert_eq!(page(&dir.0, 0, 10).unwrap().len(), 5);
    assert_eq!(page(&dir.0, 0, 10).unwrap()[0].end_time_ms, 1_000);
}

#[test]
fn what_is_old_goes_and_numbers_do_not_come_again() {
    let dir = dir();
    let mut ledger = Ledger::open(&dir.0, Some(Duration::from_millis(500))).unwrap();
    let notes: Vec<Note> = (1..=30).map(|number| over(number, number.cast_signed() * 100, number)).collect();
    ledger.write(&notes, 3_000, 0).unwrap();
    // At 3,000 those that ended before 2,500 are too old.
    assert_eq!(ids(&page(&dir.0, 0, 100).unwrap()), ["25", "26", "27", "28", "29", "30"]);
    let newest = page(&dir.0, 0, 100).unwrap()[5].id;
    ledger.write(&[], 10_000, 0).unwrap();
    assert_eq!(page(&dir.0, 0, 100).unwrap(), []);
    ledger.write(&[over(31, 10_000, 31)], 10_000, 0).unwrap();
    assert!(page(&dir.0, 0, 100).unwrap()[0].id > newest, "a cursor never goes back");
}

/// One of a clock that was wrong holds up nothing, and while nothing is known of the time nothing goes.
#[test]
fn a_record_of_a_time_that_has_not_come_goes_with_the_next() {
    let dir = dir();
    let mut ledger = Ledger::open(&dir.0, Some(Duration::from_millis(500))).unwrap();
    let notes = [(1, 1_000), (2, 9_999_000), (3, 1_100), (4, 9_999_000), (5, 1_900)];
    let notes: Vec<Note> = notes.map(|(number, end_ms)| over(number, end_ms, number)).into();
    ledger.write(&notes, BEFORE_ALL, 0).unwrap();
    assert_eq!(ids(&page(&dir.0, 0, 100).unwrap()), ["1", "2", "3", "4", "5"]);
    ledger.write(&[], 2_000, 0).unwrap();
    assert_eq!(ids(&page(&dir.0, 0, 100).unwrap()), ["4", "5"]);
}

/// Waiting for a copy, up to a bound.
#[test]
fn what_is_old_stays_until_it_is_copied() {
    let dir = dir();
    let copy = Arc::new(Progress::default());
    let keep = Some(Duration::from_millis(500));
    let mut ledger = Ledger::open(&dir.0, keep).unwrap().copied_by(Some(copy.clone())).unwrap();
    let notes: Vec<Note> = (1..=5).map(|number| over(number, 1_000, number * 10)).collect();
    ledger.write(&notes, 10_000, 0).unwrap();
    assert_eq!(ids(&page(&dir.0, 0, 100).unwrap()), ["1", "2", "3", "4", "5"]);
    assert_eq!(copy.status(), CopyStatus { backlog: 5, ..CopyStatus::default() });
    let Note::Over(third) = &notes[2] else { panic!() };
    let third = Over { record: CallRecord { id: 3, ..third.record.clone() }, ..*third.clone() };
    copy.copied(3, &third);
    ledger.write(&[], 10_000, 0).unwrap();
    assert_eq!(ids(&page(&dir.0, 0, 100).unwrap()), ["4", "5"]);
    assert_eq!(copy.status(), CopyStatus { backlog: 2, copied: 3, ..CopyStatus::default() });
    // As if there had been a million since: two are too many.
    ledger.connection.execute("UPDATE sqlite_sequence SET seq = 1000003", []).unwrap();
    ledger.write(&[over(6, 10_000, 60)], 10_000, 0).unwrap();
    assert_eq!(ids(&page(&dir.0, 0, 100).unwrap()), ["5", "6"]);
    assert_eq!(copy.status().lost, 1);
}

/// More at a time than are taken away at a time: the rest goes with the next ones.
#[test]
fn a_long_past_goes_bit_by_bit() {
    let dir = dir();
    let mut ledger = Ledger::open(&dir.0, None).unwrap();
    let notes: Vec<Note> = (1..=100).map(|number| over(number, 0, number)).collect();
    ledger.write(&notes, 0, 0).unwrap();
    drop(ledger);
    let mut ledger = Ledger::open(&dir.0, Some(Duration::from_secs(1))).unwrap();
    let mut left = 100;
    while left > 0 {
        ledger.write(&[], 1_000_000, 0).unwrap();
        let now = page(&dir.0, 0, 1_000).unwrap().len();
        assert!(now < left && left - now <= 20, "{left} to {now}");
        left = now;
    }
}

#[test]
fn what_lives_is_found_until_it_is_over() {
    let dir = dir();
    let mut ledger = Ledger::open(&dir.0, None).unwrap();
    let answered = Live {
        answer_time_ms: Some(5),
        remains: Some(Remains::Dialog(Dialog {
            call_id: "1@192.0.2.10".to_owned(),
            local: "<sip:2000@192.0.2.20>;tag=b".to_owned(),
            remote: "<sip:1000@192.0.2.10>;tag=a".to_owned(),
            cseq: 3,
            target: "sip:1000@192.0.2.10:5060".to_owned(),
            routes: vec!["<sip:192.0.2.1;lr>".to_owned()],
        })),
        ..live(1)
    };
    let lives = [live(1), live(2), answered.clone()].map(|live| Note::Lives(Box::new(live)));
    ledger.write(&lives, 0, 0).unwrap();
    drop(ledger);
    let mut ledger = Ledger::open(&dir.0, None).unwrap();
    assert_eq!(ledger.lost().unwrap(), [answered, live(2)]);
    ledger.write(&[over(1, 10, 1), over(2, 10, 2)], 0, 0).unwrap();
    assert_eq!(ledger.lost().unwrap(), []);
}

/// A server of before there was `calls.live` was killed with three calls, of which one can be hung up and one has its record; and
/// with a row that no version has written.
#[test]
fn calls_that_lived_in_the_database_are_taken_over_once() {
    let dir = dir();
    drop(Ledger::open(&dir.0, None).unwrap());
    let dialog = r#"{"call_id":"1@192.0.2.10","local":"<sip:2000@192.0.2.20>;tag=b","remote":"<sip:1000@192.0.2.10>;tag=a","cseq":3,"target":"sip:1000@192.0.2.10:5060","routes":[]}"#;
    let row = |number: u64, dialog: &str| {
        let call = format!(
            r#"{{"res_id":"0.0.0-sys.call-{number}","process_id":7,"call_dir":"inbound","from_uri":"sip:1000@192.0.2.10","to_uri":"sip:2000@192.0.2.20","gateway":"carrier","sip_call_id":"{number}@192.0.2.10","begin_time_ms":1800000000000,"answer_time_ms":null,"user_data":null,"codec":null,"recordings":[],"dialog":{dialog}}}"#
        );
        (format!("0.0.0-sys.call-{number}"), call)
    };
    let old = Connection::open(dir.0.join(FILE)).unwrap();
    old.execute_batch(former::TABLE).unwrap();
    for row in [row(1, dialog), row(2, "null"), row(3, "null"), ("x".to_owned(), "{}".to_owned())] {
        old.execute("INSERT INTO live (res_id, call) VALUES (?1, ?2)", row).unwrap();
    }
    drop(old);
    let answered = Live {
        remains: Some(Remains::Dialog(Dialog {
            call_id: "1@192.0.2.10".to_owned(),
            local: "<sip:2000@192.0.2.20>;tag=b".to_owned(),
            remote: "<sip:1000@192.0.2.10>;tag=a".to_owned(),
            cseq: 3,
            target: "sip:1000@192.0.2.10:5060".to_owned(),
            routes: Vec::new(),
        })),
        ..live(1)
    };
    let mut ledger = Ledger::open(&dir.0, None).unwrap();
    ledger.record(&[over(3, 10, 1)], 0, 0).unwrap();
    for _ in 0..2 {
        assert_eq!(ledger.lost().unwrap(), [answered.clone(), live(2)]);
        drop(ledger);
        ledger = Ledger::open(&dir.0, None).unwrap();
        assert!(!ledger.connection.table_exists(None, "live").unwrap());
    }
    ledger.write(&[over(1, 10, 1), over(2, 10, 2)], 0, 0).unwrap();
    drop(ledger);
    assert_eq!(Ledger::open(&dir.0, None).unwrap().lost().unwrap(), []);
}

/// Whatever the end of the server has left of the last line: what was whole before is known.
#[test]
fn a_line_that_is_cut_off_takes_none_with_it() {
    let dir = dir();
    let mut ledger = Ledger::open(&dir.0, None).unwrap();
    let path = dir.0.join(journal::FILE);
    ledger.write(&[Note::Lives(Box::new(live(1)))], 0, 0).unwrap();
    let one = fs::read(&path).unwrap().len();
    ledger.write(&[Note::Lives(Box::new(live(2)))], 0, 0).unwrap();
    drop(ledger);
    let two = fs::read(&path).unwrap();
    for length in one..two.len() {
        fs::write(&path, &two[..length]).unwrap();
        let mut ledger = Ledger::open(&dir.0, None).unwrap();
        assert_eq!(ledger.lost().unwrap(), [live(1)], "cut off at {length}");
        ledger.write(&[Note::Lives(Box::new(live(3)))], 0, 0).unwrap();
        drop(ledger);
        assert_eq!(Ledger::open(&dir.0, None).unwrap().lost().unwrap(), [live(1), live(3)]);
    }
}

/// It holds what lives, and some megabytes more, however many calls there have been; and is made anew where it was taken away.
#[test]
fn the_file_of_those_that_live_does_not_grow_for_ever() {
    let dir = dir();
    let mut ledger = Ledger::open(&dir.0, None).unwrap();
    let path = dir.0.join(journal::FILE);
    let mut longest = 0;
    for round in 0..60 {
        let lives: Vec<Note> =
            (1..=500).map(|call| Note::Lives(Box::new(live(round * 500 + call)))).collect();
        ledger.write(&lives, 0, 0).unwrap();
        // All but one in a hundred are over.
        let over: Vec<Note> =
            (1..=500).filter(|call| call % 100 > 0).map(|call| over(round * 500 + call, 0, 0)).collect();
        ledger.write(&over, 0, 0).unwrap();
        longest = longest.max(fs::metadata(&path).unwrap().len());
    }
    assert!((4_000_000..5 << 20).contains(&longest), "{longest}: it was begun anew");
    fs::remove_file(&path).unwrap();
    ledger.write(&[Note::Lives(Box::new(live(1_000_000)))], 0, 0).unwrap();
    drop(ledger);
    assert_eq!(Ledger::open(&dir.0, None).unwrap().lost().unwrap().len(), 301);
}

#[test]
fn a_database_that_is_taken_away_is_begun_anew() {
    let dir = dir();
    let mut ledger = Ledger::open(&dir.0, None).unwrap();
    ledger.write(&[over(1, 10, 1)], 0, 0).unwrap();
    fs::remove_dir_all(&dir.0).unwrap();
    ledger.write(&[over(2, 10, 2)], 0, 0).unwrap();
    assert_eq!(ids(&page(&dir.0, 0, 10).unwrap()), ["2"]);
}

#[test]
fn a_file_that_is_not_ours_is_left_alone() {
    let dir = dir();
    fs::create_dir_all(&dir.0).unwrap();
    let path = dir.0.join(FILE);
    fs::write(&path, "no database, but somebody's".repeat(100)).unwrap();
    assert!(Ledger::open(&dir.0, None).is_err());
    assert!(page(&dir.0, 0, 10).is_err());
    fs::remove_file(&path).unwrap();
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 2).unwrap();
    let error = Ledger::open(&dir.0, None).unwrap_err().to_string();
    assert_eq!(error, "it is of version 2, this server writes 1");
}

#[test]
fn what_is_recorded_is_for_nobody_else_to_read() {
    let dir = dir();
    let mut ledger = Ledger::open(&dir.0, None).unwrap();
    ledger.write(&[over(1, 1_000, 1)], 0, 0).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&dir.0), 0o700);
    for file in ["calls.db", "calls.db-wal", "calls.db-shm", "calls.live"] {
        assert_eq!(mode(&dir.0.join(file)), 0o600, "{file}");
    }
}
