//! Applications that go while their calls live (`call-api.md` §2, reliability A5), each a process of its own in Python: killed with
//! `kill -9`, started again, and frozen, which is to the server as a connection whose other end is not there any more.

use std::path::Path;
use std::time::{Duration, Instant};

use offhook_client::wire::{DroppedBy, OnReleased, PlayStart};
use offhook_tests::app::App;
use offhook_tests::caller::Caller;
use offhook_tests::process::Process;
use offhook_tests::server::Server;
use offhook_tests::wait::{self, PATIENCE};

/// Answers every call that its group is given, and the server's pings. It says when it is subscribed.
const APPLICATION: &str = r#"
import json, os, socket, struct, sys
port, params = int(sys.argv[1]), json.loads(sys.argv[2])
wire = socket.create_connection(('127.0.0.1', port))
wire.sendall(f'GET /rpc HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n'
             'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n'.encode())
stream = wire.makefile('rb')
while stream.readline() != b'\r\n': pass

def send(opcode, payload):
    mask = os.urandom(4)
    length = bytes([128 | len(payload)]) if len(payload) < 126 else b'\xfe' + struct.pack('>H', len(payload))
    wire.sendall(bytes([128 | opcode]) + length + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(payload)))

def ask(id, method, params):
    send(1, json.dumps({'jsonrpc': '2.0', 'id': id, 'method': method, 'params': params}).encode())

ask(1, 'sys.event.subscribe', params)
while True:
    opcode, length = stream.read(2)
    if length == 126: length, = struct.unpack('>H', stream.read(2))
    payload = stream.read(length)
    if opcode == 0x89: send(10, payload)
    if opcode != 0x81: continue
    message = json.loads(payload)
    if message.get('id') == 1: print('subscribed', message, flush=True)
    event = message.get('params', {}).get('result', {})
    if event.get('type') == 'sys.call.on_incoming':
        ask(2, 'sys.call.answer', {'res_id': event['params']['res_id'], 'max_answer_seconds': 600})
"#;

/// Starts one that has its calls dropped when it has been gone for `seconds`.
async fn application(name: &str, server: &Server, seconds: u32) -> Process {
    let params = format!(r#"{{"group": "ivr", "hangup_after_seconds": {seconds}}}"#);
    let args = ["-c", APPLICATION, &server.rpc().port().to_string(), &params];
    let application = Process::start(name, Path::new("python3"), args, server.dir().path());
    let is_there = async || application.log().contains("subscribed").then_some(());
    wait::until("a subscription", PATIENCE, is_there).await;
    application
}

/// Waits for the end of a call that nobody attends to any more, and says how long that took.
async fn is_dropped(caller: &Caller, witness: &mut App, patience: Duration) -> Duration {
    let gone = Instant::now();
    let bye = caller.is_hung_up_on(patience).await;
    let after = gone.elapsed();
    assert_eq!(bye.header("Reason").as_deref(), Some("SIP;cause=480;text=\"Dropped\""));
    let OnReleased { dropped_by, cause, .. } = witness.released(&caller.res_id).await;
    assert_eq!((dropped_by, cause), (DroppedBy::System, 480));
    after
}

#[tokio::test]
async fn a5_the_calls_of_an_application_that_is_killed_end_after_a_while() {
    let server = Server::start("departed").await;
    let mut witness = App::connect(&server).await;
    let application = application("application", &server, 2).await;
    let caller = Caller::answered_by_another(&server, &mut witness).await;
    application.kill();
    let after = is_dropped(&caller, &mut witness, PATIENCE).await;
    assert!(after >= Duration::from_millis(1_900), "{after:?}");
    witness.check_order();
}

/// Its place is kept as long as it has said, and who has its name then goes on with the call.
#[tokio::test]
async fn a5_an_application_that_is_back_in_time_finds_its_calls() {
    let server = Server::start("departed-and-back").await;
    let mut witness = App::connect(&server).await;
    let first = application("first", &server, 3).await;
    let caller = Caller::answered_by_another(&server, &mut witness).await;
    first.kill();
    let second = application("second", &server, 1).await;
    let play = PlayStart {
        res_id: caller.res_id.clone(),
        content: "welcome.wav".into(),
        repeat: 50,
        ..Default::default()
    };
    witness.client.call(&play).await.expect("a play");
    // Four seconds, which is longer than the first has allowed.
    caller.rtp.hear_more(200, PATIENCE).await;
    caller.assert_unbroken();
    second.kill();
    is_dropped(&caller, &mut witness, PATIENCE).await;
    witness.check_order();
}

/// A process that is stopped reads nothing and answers no ping, and its connection stands: it is given up 20 s later at most.
#[tokio::test]
#[ignore = "a server waits 20 s for it: cargo test --package offhook-tests --test scenarios departures -- --ignored --nocapture"]
async fn a5_the_calls_of_an_application_that_is_frozen_end_too() {
    let server = Server::start("frozen").await;
    let mut witness = App::connect(&server).await;
    let application = application("application", &server, 2).await;
    let caller = Caller::answered_by_another(&server, &mut witness).await;
    application.stop();
    let after = is_dropped(&caller, &mut witness, Duration::from_secs(30)).await;
    println!("dropped {after:?} after it was frozen");
    assert!(after >= Duration::from_secs(2) && after <= Duration::from_secs(23), "{after:?}");
    witness.check_order();
}
