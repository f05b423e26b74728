//! What runs out (`reliability.md` G19): descriptors, ports, calls, memory. Who comes then is refused at once, on both sides, by
//! a server that lives; the calls that are there go on; and when they have ended there is room for as many as before.

use std::time::{Duration, Instant};

use offhook_client::Client;
use offhook_client::wire::RecordStart;
use offhook_tests::app::{self, App};
use offhook_tests::caller::Caller;
use offhook_tests::judge;
use offhook_tests::server::{Server, Setup};
use offhook_tests::wait::PATIENCE;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// Calls, in and out, that are tried while there is no room.
const REFUSED: usize = 20;
/// How soon each is refused.
const AT_ONCE: Duration = Duration::from_millis(100);
/// How soon there is room for as many as before; a pair of ports rests for 5 s.
const BACK: Duration = Duration::from_secs(10);
/// Bodies of 1 MiB that applications send at the same time.
const BODIES: usize = 100;
/// Of these so many are read at least: all together have 64 MiB.
const BODIES_READ: usize = 60;

/// Fills the server up with calls, of which there are to be so many at least and at most; then it has to hold, and to recover.
async fn runs_out(server: &Server, room: std::ops::RangeInclusive<usize>, limit: &str) {
    let mut app = App::connect(server).await;
    let control = Caller::listening(server, &mut app).await;
    let mut callers = Vec::new();
    while let Ok(caller) = Caller::tried(server, &mut app).await {
        callers.push(caller);
        assert!(callers.len() <= *room.end(), "{limit}: nothing runs out");
    }
    println!("{limit}: room for {} calls", 1 + callers.len());
    assert!(room.contains(&callers.len()), "{limit}: room for {}", callers.len());

    refuses(server, &mut app, limit).await;
    // Who comes now, to look after what goes on, gets in.
    let newcomer = Client::connect(&server.rpc_url(), None).await.expect("room for applications");
    for caller in &callers {
        assert!(newcomer.exists(&caller.res_id).await.expect("an answer"), "a call is lost");
    }
    assert!(server.is_healthy().await);
    control.rtp.hear_more(25, PATIENCE).await;
    control.assert_unbroken();

    let before = callers.len();
    for caller in callers {
        caller.hang_up().await;
        assert_eq!(app.released(&caller.res_id).await.cause, 200);
    }
    let (begun, mut again) = (Instant::now(), Vec::new());
    while again.len() < before {
        match Caller::tried(server, &mut app).await {
            Ok(caller) => again.push(caller),
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
        assert!(begun.elapsed() < BACK, "{limit}: room for {} of {before} again", again.len());
    }
    println!("{limit}: room for all of them again after {:?}", begun.elapsed());
    again.push(control);
    for caller in again {
        caller.hang_up().await;
        app.released(&caller.res_id).await;
    }
    app.check_order();
}

/// Every call is refused, and soon; on a busy machine one or the other may wait for its turn.
async fn refuses(server: &Server, app: &mut App, limit: &str) {
    let (mut inbound, mut outbound) = (Vec::new(), Vec::new());
    for _ in 0..REFUSED {
        let Err((refusal, after)) = Caller::tried(server, app).await else { panic!("{limit}: taken") };
        assert_eq!(refusal.status(), Some(503), "{limit}: {}", refusal.text);
        assert!(refusal.header("Retry-After").is_some(), "{}", refusal.text);
        inbound.push(after);
        let begun = Instant::now();
        let error = app.client.construct(&app::to(server.sip())).await.expect_err("no room");
        outbound.push(begun.elapsed());
        assert_eq!(error.reason(), Some("limit_reached"), "{limit}: {error}");
    }
    for (way, mut after) in [("inbound", inbound), ("outbound", outbound)] {
        after.sort_unstable();
        let (middle, most) = (after[REFUSED / 2], after[REFUSED - 1]);
        println!("{limit}: {way} refused in {middle:?}, at most {most:?}");
        assert!(middle < AT_ONCE, "{limit}: {way} refused in {middle:?}");
    }
}

/// A program that becomes the server under a limit.
fn limit(limit: &str) -> Vec<String> {
    vec!["prlimit".to_owned(), limit.to_owned()]
}

/// The limit is one of the process, hard and soft: most is taken by ports, of which some are kept open for the next calls.
#[tokio::test]
async fn g19_descriptors_run_out() {
    let setup = Setup { rtp_ports: 2_000, under: limit("--nofile=400:400"), ..Setup::default() };
    runs_out(&Server::start_with("descriptors", &setup).await, 40..=200, "descriptors").await;
}

#[tokio::test]
async fn g19_ports_run_out() {
    let server = Server::start_with("ports", &Setup { rtp_ports: 40, ..Setup::default() }).await;
    runs_out(&server, 19..=19, "ports").await;
}

#[tokio::test]
async fn g19_the_most_calls_are_there() {
    let sections = "[limits]\ncalls = 30\n".to_owned();
    let setup = Setup { rtp_ports: 200, sections, ..Setup::default() };
    runs_out(&Server::start_with("calls", &setup).await, 29..=29, "calls").await;
}

/// What the process asks for beyond 256 MB it does not get; all its calls and the largest requests of many applications at the same
/// time are less.
#[tokio::test]
async fn g19_memory_is_short() {
    let setup = Setup { rtp_ports: 200, under: limit("--data=268435456"), ..Setup::default() };
    let server = Server::start_with("memory", &setup).await;
    let mut posts = JoinSet::new();
    for _ in 0..BODIES {
        posts.spawn(post(server.rpc(), 1 << 20));
    }
    runs_out(&server, 99..=99, "memory").await;
    let answers = posts.join_all().await;
    // What is more than all bodies may have together is told so, and nothing else.
    let (read, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.contains("-32602"));
    assert!(read.len() >= BODIES_READ, "{} of {BODIES} were read", read.len());
    assert!(refused.iter().all(|answer| answer.contains(r#""limit":"bodies""#)), "{refused:?}");
    println!("memory: {} KiB resident", server.resident_kib());
}

/// A request of so many bytes, slowly, so that all of them are there at the same time; and its answer.
async fn post(rpc: std::net::SocketAddr, bytes: usize) -> String {
    let begin = r#"{"jsonrpc":"2.0","id":1,"method":"sys.call.exists","params":[""#;
    let end = r#""]}"#;
    let mut socket = TcpStream::connect(rpc).await.expect("a connection");
    let head = format!(
        "POST /rpc HTTP/1.1\r\nHost: {rpc}\r\nContent-Type: application/json\r\nConnection: close\r\n\
         Content-Length: {bytes}\r\n\r\n{begin}{}",
        "x".repeat(bytes - begin.len() - end.len())
    );
    socket.write_all(head.as_bytes()).await.expect("most of it");
    tokio::time::sleep(Duration::from_secs(2)).await;
    socket.write_all(end.as_bytes()).await.expect("the rest");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.expect("an answer");
    answer
}

/// A recording that has become as long as a file of the process may be ends as on a full disk, and nothing else does.
#[tokio::test]
async fn g19_a_file_may_not_be_longer() {
    let setup = Setup { rtp_ports: 20, under: limit("--fsize=100000"), ..Setup::default() };
    let server = Server::start_with("fsize", &setup).await;
    let mut app = App::connect(&server).await;
    let listening = Caller::listening(&server, &mut app).await;
    let recorded = Caller::answered(&server, &mut app).await;
    let start = RecordStart {
        res_id: recorded.res_id.clone(),
        max_seconds: 60,
        record_file: "long.wav".to_owned(),
        // PCM of 16 bit.
        record_format: 7,
        ..Default::default()
    };
    app.client.record_start(&start).await.expect("a recording");
    let record = app.recorded(&recorded.res_id).await;
    assert_eq!(record.error.map(|error| error.code).as_deref(), Some("disk_full"));
    let length = judge::soxi(&server.recording("long.wav")).milliseconds;
    // 16 kB a second.
    assert!((5_500..=6_250).contains(&length), "{length} ms");
    recorded.hang_up().await;
    app.released(&recorded.res_id).await;
    listening.rtp.hear_more(25, PATIENCE).await;
    listening.hang_up().await;
    app.released(&listening.res_id).await;
    app.check_order();
}
