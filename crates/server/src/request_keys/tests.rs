use std::fs;
use std::path::PathBuf;

use offhook_client::wire::CallState;

use super::*;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

fn name(scope: u128, key: &str) -> Name {
    Name { scope: Scope(scope), key: key.into() }
}

fn print(params: u32) -> Print {
    Print::of("sys.call.nop", &params)
}

fn result(text: &str) -> Outcome {
    Outcome::Result(text.into())
}

fn refused() -> Outcome {
    Outcome::Error(ErrorData::LimitReached { limit: "calls".to_owned(), value: 1 })
}

/// Begins and finishes a request, which must be the first of its key.
fn done(keys: &mut Keys, at: i64, name: &Name, text: &str) {
    assert!(matches!(keys.begin(UnixMs(at), name, print(1)), Begin::First(_)), "{name:?}");
    keys.finish(UnixMs(at), name, result(text));
}

fn is_known(keys: &mut Keys, at: i64, name: &Name) -> bool {
    match keys.begin(UnixMs(at), name, print(1)) {
        Begin::Known(_) => true,
        Begin::First(_) => {
            keys.abandon(name);
            false
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_key_goes_from_first_to_known() {
    let mut keys = Keys::new();
    let key = name(0, "k");
    let Begin::First(first) = keys.begin(UnixMs(0), &key, print(1)) else { panic!("the first") };
    let Begin::UnderWay(repeat) = keys.begin(UnixMs(1), &key, print(1)) else { panic!("under way") };
    assert!(matches!(keys.begin(UnixMs(1), &key, print(2)), Begin::Reused));
    assert!(matches!(keys.begin(UnixMs(1), &name(1, "k"), print(2)), Begin::First(_)), "of another scope");
    keys.finish(UnixMs(2), &key, result("null"));
    assert_eq!((&*first.borrow(), &*repeat.borrow()), (&Some(result("null")), &Some(result("null"))));
    let Begin::Known(known) = keys.begin(UnixMs(3), &key, print(1)) else { panic!("known") };
    assert_eq!(known, result("null"));
    assert!(matches!(keys.begin(UnixMs(3), &key, print(2)), Begin::Reused));
}

#[test]
fn an_outcome_that_is_none_frees_its_key() {
    let mut keys = Keys::new();
    let key = name(0, "k");
    let Begin::First(_) = keys.begin(UnixMs(0), &key, print(1)) else { panic!("the first") };
    let Begin::UnderWay(repeat) = keys.begin(UnixMs(1), &key, print(1)) else { panic!("under way") };
    keys.finish(UnixMs(2), &key, refused());
    assert_eq!(*repeat.borrow(), Some(refused()), "who has waited is told");
    assert!(matches!(keys.begin(UnixMs(3), &key, print(2)), Begin::First(_)), "even for another request");
    keys.abandon(&key);
    assert!(matches!(keys.begin(UnixMs(3), &key, print(1)), Begin::First(_)));
}

/// Which errors say that nothing was done and why that may pass.
#[test]
fn outcomes_that_are_final() {
    let internal = ErrorData::Internal { trace_id: String::new() };
    let state = ErrorData::InvalidState {
        res_id: String::new(),
        state: CallState::Play,
        allowed: Vec::new(),
        detail: None,
    };
    let answer = ErrorData::AnswerFailed { sip_status: 408 };
    for data in [internal, state, answer, ErrorData::OutcomeUnknown] {
        assert!(Outcome::Error(data.clone()).is_final(), "{data:?}");
    }
    let gateway = ErrorData::GatewayUnavailable { gateway: String::new(), retry_in: None };
    for data in
        [gateway, ErrorData::ShuttingDown, ErrorData::DiskFull { param: String::new(), file: String::new() }]
    {
        assert!(!Outcome::Error(data.clone()).is_final(), "{data:?}");
    }
    assert!(!refused().is_final());
}

#[test]
fn a_key_is_kept_for_a_day() {
    let mut keys = Keys::new();
    let key = name(0, "k");
    done(&mut keys, 1_000, &key, "null");
    assert!(is_known(&mut keys, 1_000 + DAY_MS, &key));
    assert!(!is_known(&mut keys, 1_001 + DAY_MS, &key));
    assert_eq!((keys.bytes, keys.over.len(), keys.entries.len()), (0, 0, 0));
}

#[test]
fn the_oldest_go_first() {
    let mut keys = Keys::bounded(Limits { keys: 3, bytes: 10_000, under_way: 2 });
    for n in 0..5 {
        done(&mut keys, n, &name(0, &n.to_string()), "null");
    }
    let known: Vec<bool> = (0..5).map(|n| is_known(&mut keys, 5, &name(0, &n.to_string()))).collect();
    assert_eq!(known, [false, false, true, true, true]);
    // By their bytes too.
    done(&mut keys, 6, &name(0, "large"), &"x".repeat(9_500));
    assert!(is_known(&mut keys, 6, &name(0, "large")) && !is_known(&mut keys, 6, &name(0, "3")));
    done(&mut keys, 7, &name(0, "too large"), &"x".repeat(10_001));
    assert_eq!((keys.bytes, keys.over.len()), (0, 0), "what fits in no table is not kept");
    // What is under way does not go, and has a bound of its own.
    for key in ["a", "b"] {
        assert!(matches!(keys.begin(UnixMs(8), &name(0, key), print(1)), Begin::First(_)));
    }
    assert!(matches!(keys.begin(UnixMs(8), &name(0, "c"), print(1)), Begin::Full { limit: 2 }));
    keys.finish(UnixMs(8), &name(0, "a"), result("null"));
    assert!(matches!(keys.begin(UnixMs(8), &name(0, "c"), print(1)), Begin::First(_)));
}

/// A folder of its own for each test, removed at its end.
struct Temp(PathBuf);

impl Temp {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("offhook-keys-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        Self(path)
    }

    fn open(&self, at: i64) -> (Vec<Kept>, Journal) {
        journal::open(&self.0, UnixMs(at)).unwrap()
    }

    fn file(&self) -> PathBuf {
        self.0.join("request_keys")
    }
}

impl Drop for Temp {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn outcomes(kept: &[Kept]) -> Vec<(&str, &Outcome)> {
    kept.iter().map(|kept| (&*kept.name.key, &kept.outcome)).collect()
}

#[tokio::test]
async fn what_is_noted_is_there_after_a_restart() {
    let temp = Temp::new("restart");
    let (kept, journal) = temp.open(0);
    assert_eq!(kept, []);
    for key in ["done", "refused", "cut off", "failed"] {
        journal.note(UnixMs(1), &name(u128::MAX, key), print(1), None).await.unwrap();
    }
    let (text, unknown) = (result(r#"{"res_id":"a \"b\""}"#), Outcome::Error(ErrorData::OutcomeUnknown));
    let failed = Outcome::Error(ErrorData::NotNegotiated { detail: "no common codec".to_owned() });
    for (key, outcome) in [("done", text.clone()), ("refused", refused()), ("failed", failed.clone())] {
        journal.note(UnixMs(2), &name(u128::MAX, key), print(1), Some(outcome)).await.unwrap();
    }
    let (kept, _) = temp.open(3);
    assert_eq!(outcomes(&kept), [("cut off", &unknown), ("done", &text), ("failed", &failed)]);
    let mut keys = Keys::new();
    keys.load(UnixMs(3), kept);
    for key in ["done", "cut off", "failed"] {
        assert!(is_known(&mut keys, 4, &name(u128::MAX, key)), "{key}");
    }
    assert!(!is_known(&mut keys, 4, &name(u128::MAX, "refused")));
    assert!(matches!(keys.begin(UnixMs(4), &name(u128::MAX, "done"), print(2)), Begin::Reused));
}

/// What a process that was killed, or a bad disk, leaves of a line does no harm to the others.
#[tokio::test]
async fn a_line_that_is_not_whole_is_passed_over() {
    let temp = Temp::new("torn");
    let (_, journal) = temp.open(0);
    for key in ["a", "b", "c"] {
        journal.note(UnixMs(1), &name(0, key), print(1), Some(result("null"))).await.unwrap();
    }
    let whole = fs::read(temp.file()).unwrap();
    let line = whole.len() / 3;
    for cut in 0..line - 1 {
        fs::write(temp.file(), &whole[..2 * line + cut]).unwrap();
        let (kept, journal) = temp.open(2);
        assert_eq!(kept.len(), 2, "cut off after {cut} bytes");
        journal.note(UnixMs(3), &name(0, "d"), print(1), Some(result("null"))).await.unwrap();
        assert_eq!(temp.open(4).0.len(), 3, "what comes after it is read");
    }
    for at in [0, 20, 40, line - 1] {
        let mut broken = whole.clone();
        broken[line + at] ^= 1;
        fs::write(temp.file(), &broken).unwrap();
        let (kept, _) = temp.open(2);
        assert!(kept.len() <= 2 && kept.iter().all(|kept| &*kept.name.key != "b"), "byte {at} is wrong");
    }
    fs::write(temp.file(), vec![b'x'; 1 << 20]).unwrap();
    assert_eq!(temp.open(2).0, []);
}

#[tokio::test]
async fn the_file_is_the_old_one_after_a_day() {
    let temp = Temp::new("day");
    let (_, journal) = temp.open(0);
    let keys: Vec<String> = (0..6).map(|n| n.to_string()).collect();
    for (n, key) in keys.iter().enumerate() {
        let at = UnixMs(n as i64 * (DAY_MS / 2 + 1));
        journal.note(at, &name(0, key), print(1), Some(result("null"))).await.unwrap();
    }
    // A file for each day and a bit; the last two are there.
    let (kept, _) = temp.open(3 * DAY_MS);
    let there: Vec<&str> = kept.iter().map(|kept| &*kept.name.key).collect();
    assert_eq!(there, ["2", "3", "4", "5"]);
    assert_eq!(fs::read_dir(&temp.0).unwrap().count(), 2);
}

#[tokio::test]
async fn a_disk_that_takes_nothing_is_told() {
    let temp = Temp::new("broken");
    let (_, journal) = temp.open(0);
    fs::remove_dir_all(&temp.0).unwrap();
    fs::write(&temp.0, "no folder").unwrap();
    let noted = journal.note(UnixMs(0), &name(0, "k"), print(1), None).await;
    assert!(matches!(noted, Err(journal::NotNoted::Disk(_))), "{noted:?}");
    fs::remove_file(&temp.0).unwrap();
    journal.note(UnixMs(0), &name(0, "k"), print(1), None).await.unwrap();
}

/// Whoever tidies up takes away what was known, and nothing of what comes.
#[tokio::test]
async fn a_file_that_is_taken_away_is_made_anew() {
    let temp = Temp::new("taken");
    let (_, journal) = temp.open(0);
    journal.note(UnixMs(0), &name(0, "before"), print(1), Some(result("null"))).await.unwrap();
    fs::remove_dir_all(&temp.0).unwrap();
    journal.note(UnixMs(0), &name(0, "after"), print(1), Some(result("null"))).await.unwrap();
    let (kept, _) = temp.open(0);
    let there: Vec<&str> = kept.iter().map(|kept| &*kept.name.key).collect();
    assert_eq!(there, ["after"]);
}
