//! What is cut off under load (`reliability.md` G12): the connection of a reader of events, again and again, and the server
//! itself. Each has a short form, which every run of the tests has, and a long one.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use offhook_client::wire::{self, CallRecord, EventKind};
use offhook_client::{Client, Event};
use offhook_tests::app::App;
use offhook_tests::caller::Caller;
use offhook_tests::line::Line;
use offhook_tests::server::{Server, Setup};
use offhook_tests::sipp::{RunningSipp, Sipp};
use offhook_tests::wait::{self, PATIENCE};
use offhook_tests::{judge, ports};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// Calls in a second.
const RATE: u32 = 100;
/// How many of the events that it has heard a reader may have forgotten when it comes back.
const FORGOTTEN: usize = 20;
/// Calls in a second where the server is killed: as each is recorded, more would be a measure of the disk.
const RATE_OF_RECORDED: u32 = 40;
/// What a load may take beyond its own length on a busy machine.
const GRACE: Duration = Duration::from_secs(60);

/// A server at an address of its own, with ports for so many calls in a second.
async fn server(name: &str, address: [u8; 4]) -> Server {
    let setup = Setup {
        rtp_address: Ipv4Addr::from(address).into(),
        rtp_first: Some(2_000),
        rtp_ports: 4_000,
        ..Setup::default()
    };
    Server::start_with(name, &setup).await
}

fn callers(server: &Server, calls: u32, rate: u32, talk_ms: u32) -> RunningSipp {
    let scenario = Sipp::new("uac-bye").set("rtp_port", ports::one()).set("talk_ms", talk_ms);
    scenario.load(calls, rate).call(server.sip(), server.dir())
}

#[tokio::test(flavor = "multi_thread")]
async fn g12_a_stream_that_is_cut_and_resumed_misses_nothing() {
    cut_the_stream(1_000, 100).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "cargo test --package offhook-tests --test scenarios g12 -- --ignored --nocapture"]
async fn g12_a_stream_that_is_cut_and_resumed_misses_nothing_of_ten_thousand_calls() {
    cut_the_stream(10_000, 100).await;
}

/// A reader whose line breaks `cuts` times in a load of `calls` has in the end what one has heard whose line held.
async fn cut_the_stream(calls: u32, cuts: u32) {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = Rng::with_seed(seed);
    let server = server("cuts", [127, 0, 0, 12]).await;
    let mut app = App::connect(&server).await;
    let first = Caller::answered(&server, &mut app).await;
    first.hang_up().await;
    app.released(&first.res_id).await;
    let begin = app.history().first().expect("events").seq - 1;
    let line = Arc::new(Line::to(server.rpc()).await);
    let (last, until) = watch::channel(u64::MAX);
    let reading = tokio::spawn(piece_together(line.clone(), begin, until, random.fork()));

    let mut sipp = callers(&server, calls, RATE, 100);
    let length = Duration::from_secs(u64::from(calls / RATE));
    let cutting = tokio::spawn(async move {
        for _ in 0..cuts {
            // 90 % of the load's length in all, in the middle.
            tokio::time::sleep(length.mul_f64(1.8 * random.f64() / f64::from(cuts))).await;
            while line.cut() == 0 {
                // Whoever comes back has not done so yet.
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    });
    let calls = usize::try_from(calls).expect("some thousand");
    attend(&mut app, calls, length + GRACE).await;
    sipp.succeed(calls as u64, GRACE).await;
    wait::within("all cuts", GRACE, cutting).await.expect("a line");
    app.check_order();
    let whole = app.history();
    last.send_replace(whole.last().expect("events").seq);
    let (pieces, connections) = wait::within("the rest of the events", GRACE, reading).await.expect("pieces");

    let mut pieced: BTreeMap<u64, &Event> = BTreeMap::new();
    for event in &pieces {
        let newest = pieced.last_key_value().map(|(seq, _)| *seq);
        match pieced.get(&event.seq) {
            Some(before) => assert_eq!(*before, event, "the same number, and something else"),
            None => {
                assert!(newest.is_none_or(|newest| newest < event.seq), "{} after {newest:?}", event.seq);
                pieced.insert(event.seq, event);
            }
        }
    }
    let twice = pieces.len() - pieced.len();
    println!(
        "{calls} calls, {} events, {cuts} cuts, {connections} connections, {twice} told twice",
        whole.len()
    );
    assert!(pieced.into_values().eq(whole), "what was pieced together is not what happened");
    assert!(twice > 0, "no connection began before where the last had ended");
}

/// Answers calls until so many have been released.
async fn attend(app: &mut App, calls: usize, patience: Duration) {
    let (mut answering, mut over) = (JoinSet::new(), 0);
    while over < calls {
        match app.event("the end of all calls", patience, |kind| Some(kind.clone())).await {
            EventKind::Incoming(incoming) => {
                let client = app.client.clone();
                answering.spawn(async move { client.answer(&incoming.res_id, 60).await });
            }
            EventKind::Released(released) => {
                assert_eq!(released.cause, 200, "{released:?}");
                over += 1;
            }
            _ => {}
        }
    }
    for answer in answering.join_all().await {
        answer.expect("an answered call");
    }
}

/// All that came over a line that breaks now and then, and by how many connections; whoever comes back has forgotten some.
async fn piece_together(
    line: Arc<Line>,
    begin: u64,
    until: watch::Receiver<u64>,
    mut random: Rng,
) -> (Vec<Event>, usize) {
    let (mut heard, mut connections) = (Vec::<Event>::new(), 0);
    let is_over = |heard: &[Event]| heard.last().is_some_and(|event| event.seq >= *until.borrow());
    while !is_over(&heard) {
        let known = heard.len().saturating_sub(random.usize(..FORGOTTEN));
        let after = known.checked_sub(1).map_or(begin, |last| heard[last].seq);
        let Ok(client) = Client::connect(&line.rpc_url(), None).await else { continue };
        let Ok(mut events) = client.subscribe(Some(after), Some(&["*"])).await else { continue };
        connections += 1;
        while !is_over(&heard) {
            let next = tokio::time::timeout(Duration::from_millis(100), events.next()).await;
            match next {
                Ok(Some(Ok(event))) => heard.push(event),
                Ok(Some(Err(_)) | None) => break,
                // Nothing happens: perhaps nothing will.
                Err(_) => {}
            }
        }
    }
    (heard, connections)
}

#[tokio::test(flavor = "multi_thread")]
async fn g12_a_server_that_is_killed_under_load_forgets_nothing() {
    kill_under_load(4).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "cargo test --package offhook-tests --test scenarios g12 -- --ignored --nocapture"]
async fn g12_a_server_that_is_killed_fifty_times_under_load_forgets_nothing() {
    kill_under_load(50).await;
}

/// What an application has heard of a server, and the recordings that it was told had begun.
#[derive(Default)]
struct Known {
    events: Vec<Event>,
    recordings: BTreeMap<String, String>,
}

/// Kill −9 at any moment: what was heard before is told again, every call that was heard of has one end and one record, and every
/// recording that had begun is a file that opens and stands in the record of its call.
async fn kill_under_load(kills: usize) {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = Rng::with_seed(seed);
    let mut server = server("kills", [127, 0, 0, 13]).await;
    let mut known = Known::default();
    for _ in 0..kills {
        let client = Arc::new(Client::connect(&server.rpc_url(), None).await.expect("a connection"));
        let attending = record_all(client, known.events.last().map(|event| event.seq)).await;
        let load = callers(&server, 100_000, RATE_OF_RECORDED, 400);
        tokio::time::sleep(Duration::from_millis(random.u64(300..1_500))).await;
        server.kill();
        server.end(PATIENCE).await;
        drop(load);
        let heard = attending.await.expect("what was heard");
        known.events.extend(heard.events);
        known.recordings.extend(heard.recordings);
        server.start_again().await;
    }
    let begin = known.events.first().expect("events").seq - 1;
    let mut app = App::connect_after(&server, Some(begin)).await;
    let mut live = App::connect(&server).await;
    let last = Caller::answered(&server, &mut live).await;
    last.hang_up().await;
    app.released_within(&last.res_id, GRACE).await;
    judge_events(&known.events, app.history());
    let records = records(&app.client).await;
    judge_calls(&known.events, app.history(), &records);
    judge_recordings(&server, &known.recordings, &records);
    println!(
        "{kills} kills: {} events were heard before, {} are told now; {} records of calls, {} recordings",
        known.events.len(),
        app.history().len(),
        records.len(),
        known.recordings.len()
    );
    assert!(known.recordings.len() > kills && known.events.len() > 20 * kills, "there was no load");
}

/// Answers and records every call, until the connection is lost.
async fn record_all(client: Arc<Client>, after: Option<u64>) -> JoinHandle<Known> {
    let mut events = client.subscribe(after, Some(&["*"])).await.expect("a subscription");
    tokio::spawn(async move {
        let (mut heard, mut recording) = (Known::default(), JoinSet::new());
        while let Some(Ok(event)) = events.next().await {
            if let EventKind::Incoming(incoming) = &event.kind {
                recording.spawn(record(client.clone(), incoming.res_id.clone()));
            }
            heard.events.push(event);
        }
        heard.recordings = recording.join_all().await.into_iter().flatten().collect();
        heard
    })
}

/// The call and its file, once the server has said that it is recorded.
async fn record(client: Arc<Client>, res_id: String) -> Option<(String, String)> {
    let record_file = format!("{res_id}.wav");
    client.answer(&res_id, 60).await.ok()?;
    let start = wire::RecordStart { res_id: res_id.clone(), max_seconds: 60, ..Default::default() };
    client.call(&wire::RecordStart { record_file: record_file.clone(), ..start }).await.ok()?;
    Some((res_id, record_file))
}

/// Whatever was heard is there again, as it was; numbers go up, and those of one run have no hole.
fn judge_events(heard: &[Event], again: &[Event]) {
    assert!(again.is_sorted_by(|a, b| a.seq < b.seq), "numbers do not rise");
    assert!(heard.is_sorted_by(|a, b| a.seq < b.seq), "numbers did not rise");
    let gap = again.iter().find(|event| matches!(event.kind, EventKind::Gap(_)));
    assert_eq!(gap, None);
    let now: HashMap<u64, &Event> = again.iter().map(|event| (event.seq, event)).collect();
    for event in heard {
        assert_eq!(now.get(&event.seq), Some(&event), "heard before the kill");
    }
}

/// Every call that was heard of has one `on_released`, the last event of it, and one record.
fn judge_calls(heard: &[Event], again: &[Event], records: &[CallRecord]) {
    let incoming = heard.iter().filter_map(|event| match &event.kind {
        EventKind::Incoming(incoming) => Some(incoming.res_id.as_str()),
        _ => None,
    });
    let mut ended = BTreeSet::new();
    for event in again {
        let Some(res_id) = event.res_id() else { continue };
        assert!(!ended.contains(res_id), "after its end: {}", event.raw);
        if matches!(event.kind, EventKind::Released(_)) {
            ended.insert(res_id);
        }
    }
    let recorded: BTreeSet<&str> = records.iter().map(|record| record.res_id.as_str()).collect();
    assert_eq!(recorded.len(), records.len(), "a call has two records");
    assert_eq!(recorded, ended, "a call without a record, or a record without an end");
    for res_id in incoming {
        assert!(ended.contains(res_id), "{res_id} was heard of, and has no end");
    }
}

fn judge_recordings(server: &Server, recordings: &BTreeMap<String, String>, records: &[CallRecord]) {
    let of: HashMap<&str, &CallRecord> =
        records.iter().map(|record| (record.res_id.as_str(), record)).collect();
    for (res_id, file) in recordings {
        assert_eq!(of[res_id.as_str()].recordings, std::slice::from_ref(file), "{res_id}");
        // It opens; nothing was said.
        judge::soxi(&server.recording(file));
    }
}

async fn records(client: &Client) -> Vec<CallRecord> {
    let mut all: Vec<CallRecord> = Vec::new();
    loop {
        let after = all.last().map_or(0, |record| record.id);
        let page = client.call(&wire::Cdr { after, ..Default::default() }).await.expect("a page of records");
        if page.is_empty() {
            return all;
        }
        all.extend(page);
    }
}
