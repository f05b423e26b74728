//! Clocks (`reliability.md` G20): the wall clock is set by hours and days during calls, by libfaketime, which comes between the
//! server and the kernel; and the process stands still for some seconds. Durations and timers go by the other clock.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use offhook_client::wire::{self, CallRecord, EventKind, RecordStart};
use offhook_tests::agent::{Agent, Dialog, Message};
use offhook_tests::app::{App, MAX_ANSWER_SECONDS};
use offhook_tests::caller::Caller;
use offhook_tests::dir::TestDir;
use offhook_tests::judge;
use offhook_tests::server::{Server, Setup};
use offhook_tests::wait::PATIENCE;
use offhook_tests::wav::Signal;

/// The shortest session that the server agrees to, in seconds; it refreshes it at half of that (RFC 4028 §10).
const SESSION: u32 = 90;
/// How exact that is: what lies between a timer of the server and the test that notices on a busy machine.
const REFRESHED: Duration = Duration::from_millis(500);
/// Calls that are there while the clock is set.
const CALLS: usize = 100;
/// How exact durations are.
const EXACT: Duration = Duration::from_millis(50);
/// How long the process stands still.
const STANDSTILL: Duration = Duration::from_secs(5);
/// What the wall clock is off the right time, one after the other, in seconds: an hour, a day, and back.
const STEPS: [i64; 6] = [3_600, 0, -3_600, 86_400, -86_400, 0];

/// A clock of the server's own.
struct Clock(TestDir);

impl Clock {
    /// One that is right.
    fn new() -> Self {
        let clock = Self(TestDir::new("clock"));
        clock.set(0);
        clock
    }

    /// Sets it so many seconds before or after the right time.
    fn set(&self, seconds: i64) {
        // By another name first: it is read at any moment.
        let new = self.0.join("new");
        std::fs::write(&new, format!("{seconds:+}")).expect("a file");
        std::fs::rename(new, self.file()).expect("the clock");
    }

    fn file(&self) -> PathBuf {
        self.0.join("offset")
    }

    /// What makes a server look at it, and only for the time of day.
    fn variables(&self) -> Vec<(&'static str, String)> {
        let folders = std::fs::read_dir("/usr/lib").expect("libraries").flatten().map(|entry| entry.path());
        let library =
            folders.map(|folder| folder.join("faketime/libfaketimeMT.so.1")).find(|path| path.exists());
        let library = library.expect("libfaketime (Debian package faketime)");
        vec![
            ("LD_PRELOAD", library.display().to_string()),
            ("FAKETIME_TIMESTAMP_FILE", self.file().display().to_string()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
            ("FAKETIME_NO_CACHE", "1".to_owned()),
        ]
    }
}

/// A call, and between which moments it began and ended.
struct Timed {
    caller: Caller,
    begun: [Instant; 2],
}

impl Timed {
    async fn answered(server: &Server, app: &mut App) -> Self {
        let before = Instant::now();
        let caller = Caller::answered(server, app).await;
        Self { caller, begun: [before, Instant::now()] }
    }

    /// Hangs up: the call, and how long it was there, at least and at most.
    async fn hang_up(self, app: &mut App) -> (String, [Duration; 2]) {
        let before = Instant::now();
        self.caller.hang_up().await;
        let ended = [before, Instant::now()];
        app.released(&self.caller.res_id).await;
        (self.caller.res_id, [ended[0] - self.begun[1], ended[1] - self.begun[0]])
    }
}

/// A call whose session the server keeps alive.
struct Session {
    agent: Agent,
    dialog: Dialog,
    ok: Message,
}

impl Session {
    async fn begin(server: &Server, app: &mut App) -> Self {
        let agent = Agent::new(server.sip()).await;
        let dialog = Dialog::new(&agent, "service", 4_000);
        let headers = format!(
            "Supported: timer\r\nSession-Expires: {SESSION};refresher=uas\r\nMin-SE: {SESSION}\r\n\
             Content-Type: application/sdp\r\n"
        );
        let offer = dialog.offer("0 8 101");
        agent.send(dialog.request_with("INVITE", 1, "invite", None, &headers, &offer)).await;
        let res_id = app.incoming().await.res_id;
        let client = app.client.clone();
        let answering = tokio::spawn(async move { client.answer(&res_id, MAX_ANSWER_SECONDS).await });
        let ok = agent.response(200, "INVITE").await;
        assert_eq!(ok.header("Session-Expires"), Some(format!("{SESSION};refresher=uas")));
        agent.send(dialog.ack(&ok)).await;
        answering.await.expect("a finished request").expect("an answered call");
        Self { agent, dialog, ok }
    }

    /// Answers so many refreshes, and says how long after the one before each came.
    async fn refreshes(&self, count: u32) -> Vec<Duration> {
        let (mut last, mut after) = (self.ok.at, Vec::new());
        let is_refresh = |message: &Message| message.is_request("INVITE") || message.is_request("UPDATE");
        for _ in 0..count {
            let patience = Duration::from_secs(SESSION.into());
            let refresh = self.agent.expect("a refresh", patience, is_refresh).await;
            after.push(refresh.at - last);
            last = refresh.at;
            self.accept(&refresh).await;
        }
        after
    }

    async fn accept(&self, refresh: &Message) {
        let echoed: String = ["Via", "From", "To", "Call-ID", "CSeq", "Session-Expires"]
            .iter()
            .filter_map(|name| Some(format!("{name}: {}\r\n", refresh.header(name)?)))
            .collect();
        let described = refresh.header("Content-Type").is_some();
        let sdp = if described { self.dialog.offer("0 8 101") } else { String::new() };
        let kind = if described { "Content-Type: application/sdp\r\n" } else { "" };
        let (contact, length) = (self.agent.address(), sdp.len());
        self.agent
            .send(format!(
                "SIP/2.0 200 OK\r\n{echoed}Require: timer\r\nContact: <sip:agent@{contact}>\r\n\
                 {kind}Content-Length: {length}\r\n\r\n{sdp}"
            ))
            .await;
    }
}

async fn records(app: &App) -> HashMap<String, CallRecord> {
    let page = wire::Cdr { limit: 1_000, ..Default::default() };
    let records = app.client.call(&page).await.expect("the records of calls");
    records.into_iter().map(|record| (record.res_id.clone(), record)).collect()
}

/// What is told of a moment in the life of the server.
async fn stamp(app: &mut App) -> i64 {
    let open = wire::ConfConstruct { max_seconds: 60, ..Default::default() };
    let res_id = app.client.call(&open).await.expect("a conference").res_id;
    app.client.call(&wire::ConfRelease { res_id: res_id.clone() }).await.expect("its end");
    let pick = |kind: &EventKind| match kind {
        EventKind::ConferenceReleased(event) if event.res_id == res_id => Some(()),
        _ => None,
    };
    app.event("on_released", PATIENCE, pick).await;
    app.history().last().expect("events").time_ms
}

fn unix_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    i64::try_from(since.as_millis()).expect("some time from now")
}

#[tokio::test]
async fn g20_the_clock_is_set_during_calls() {
    set_the_clock(Duration::from_millis(800), 1).await;
}

#[tokio::test]
#[ignore = "cargo test --package offhook-tests --test scenarios g20 -- --ignored --nocapture"]
async fn g20_the_clock_is_set_each_ten_seconds_for_ten_minutes() {
    set_the_clock(Duration::from_secs(10), 10).await;
}

/// So many times through all steps, one each `every`, while a hundred calls are there, one of which hears a prompt, one is recorded and
/// one is to last half of the time; the session of another is refreshed as often as there is time for it.
async fn set_the_clock(every: Duration, rounds: u32) {
    let clock = Clock::new();
    let mut variables = clock.variables();
    // Most of the calls say nothing, for longer than anybody is listened to otherwise.
    variables.push(("OFFHOOK_RTP__TIMEOUT_SECONDS", "0".to_owned()));
    let setup = Setup { rtp_ports: 300, variables, ..Setup::default() };
    let server = Server::start_with("clock", &setup).await;
    let mut app = App::connect(&server).await;
    let length = every * rounds * u32::try_from(STEPS.len()).expect("six");
    let mut listening = Caller::listening(&server, &mut app).await;
    // To who has never sent anything nothing is sent after some minutes.
    listening.rtp.speak(&Signal::sine(440.0, 0.3, 100), listening.media).await;
    let mut recorded = Caller::answered(&server, &mut app).await;
    let start = RecordStart {
        res_id: recorded.res_id.clone(),
        max_seconds: 3_600,
        record_file: "set.wav".to_owned(),
        finish_keys: "#".into(),
        ..Default::default()
    };
    app.client.record_start(&start).await.expect("a recording");
    let recording = Instant::now();
    let mut calls = Vec::new();
    for _ in 0..CALLS {
        calls.push(Timed::answered(&server, &mut app).await);
    }
    let half = u32::try_from((length / 2).as_secs()).expect("some seconds");
    let limited = Caller::answered_for(half, &server, &mut app).await;
    let session = Session::begin(&server, &mut app).await;
    let each = Duration::from_secs(u64::from(SESSION) / 2);
    let refreshes = u32::try_from(length.as_secs() / each.as_secs()).expect("a few");
    let refreshing = tokio::spawn(async move { session.refreshes(refreshes).await });
    let talking = tokio::spawn(async move {
        let milliseconds = u32::try_from(length.as_millis()).expect("some minutes");
        let (said, media) = (Signal::sine(440.0, 0.3, milliseconds), recorded.media);
        recorded.rtp.speak(&said, media).await;
        let before = recording.elapsed();
        recorded.rtp.press("#", media).await;
        (recorded, [before, recording.elapsed()])
    });
    for step in (0..rounds).flat_map(|_| STEPS) {
        clock.set(step);
        tokio::time::sleep(every).await;
        let off = stamp(&mut app).await - unix_ms() - step * 1_000;
        assert!(off.abs() < 1_000, "the clock of the server is off by {off} ms, set by {step} s");
    }
    let (recorded, key) = talking.await.expect("a talk");
    let record = app.recorded(&recorded.res_id).await;
    assert_eq!((record.finish_key.as_deref(), record.error), (Some("#"), None));
    app.released_within(&limited.res_id, length).await;
    let refreshed = refreshing.await.expect("a session");
    println!("refreshed after {refreshed:?}");
    assert!(refreshed.iter().all(|after| after.abs_diff(each) <= REFRESHED), "{refreshed:?}");
    listening.rtp.hear_more(25, PATIENCE).await;
    listening.assert_unbroken();
    listening.hang_up().await;
    judge_durations(calls, &mut app).await;
    let file = judge::soxi(&server.recording("set.wav")).milliseconds;
    println!("recorded {file} ms, by the event {} ms; the key from and to {key:?}", record.duration_ms);
    assert!(file.abs_diff(record.duration_ms) <= 1, "{file} ms");
    // It lasts until the key.
    let file = Duration::from_millis(file);
    assert!(key[0] <= file + EXACT && file <= key[1] + EXACT, "{file:?}, {key:?}");
    let talk = records(&app).await[&limited.res_id].talk_ms.expect("an answered call");
    println!("a call of {half} s lasted {talk} ms");
    assert!(talk.abs_diff(u64::from(half) * 1_000) <= 50, "{talk} ms");
    app.check_order();
}

/// All calls are there, and when they have ended each has lasted as long as it did.
async fn judge_durations(calls: Vec<Timed>, app: &mut App) {
    for call in &calls {
        assert!(app.client.exists(&call.caller.res_id).await.expect("an answer"), "a call is lost");
    }
    let mut ended = Vec::new();
    for call in calls {
        ended.push(call.hang_up(app).await);
    }
    let (records, mut off) = (records(app).await, Duration::ZERO);
    for (res_id, [least, most]) in ended {
        let told = Duration::from_millis(records[&res_id].duration_ms.expect("a duration"));
        let beyond = told.saturating_sub(most).max(least.saturating_sub(told));
        assert!(
            beyond <= EXACT,
            "{res_id} lasted {least:?} to {most:?}, and is told to have lasted {told:?}"
        );
        off = off.max(beyond);
    }
    println!("durations are off by at most {off:?}");
}

#[tokio::test]
async fn g20_a_process_that_stood_still_goes_on() {
    let server = Server::start_with("standstill", &Setup { rtp_ports: 300, ..Setup::default() }).await;
    let mut app = App::connect(&server).await;
    let listening = Caller::listening(&server, &mut app).await;
    let mut calls = Vec::new();
    for _ in 0..CALLS {
        calls.push(Timed::answered(&server, &mut app).await);
    }
    let half = u32::try_from(STANDSTILL.as_secs()).expect("some seconds") + 2;
    let limited = Caller::answered_for(half, &server, &mut app).await;
    let heard = listening.rtp.count();
    server.stand_still(STANDSTILL).await;
    let resumed = Instant::now();
    listening.rtp.hear_more(25, PATIENCE).await;
    let took = resumed.elapsed();
    let packets = listening.rtp.packets();
    let mut skipped = 0;
    for pair in packets.windows(2) {
        assert_eq!(pair[1].sequence.wrapping_sub(pair[0].sequence), 1, "no packet was lost");
        let step = pair[1].timestamp.wrapping_sub(pair[0].timestamp);
        assert_eq!(step % 160, 0, "whole frames");
        skipped += step / 160 - 1;
    }
    let burst = packets.len() - heard;
    println!("{skipped} frames were left out; {burst} packets since then, in {took:?}");
    // 250 frames, but for those of 200 ms that are made up for and those on either side of the signals.
    assert!((225..=255).contains(&skipped), "{skipped} frames");
    app.released_within(&limited.res_id, PATIENCE).await;
    listening.hang_up().await;
    judge_durations(calls, &mut app).await;
    let talk = records(&app).await[&limited.res_id].talk_ms.expect("an answered call");
    println!("a call of {half} s lasted {talk} ms");
    assert!(talk.abs_diff(u64::from(half) * 1_000) <= 50, "{talk} ms");
    app.check_order();
}
