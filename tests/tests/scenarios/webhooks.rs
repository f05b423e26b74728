//! Web hooks through the real server, with a receiver in Python that checks every signature by itself, refuses now and then,
//! and writes down what it has taken (`notifications.md`).

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use offhook_client::wire::{WebhookAdd, WebhookList, WebhookState, WebhookTest};
use offhook_tests::app::App;
use offhook_tests::caller::Caller;
use offhook_tests::dir::TestDir;
use offhook_tests::ports;
use offhook_tests::process::Process;
use offhook_tests::server::{self, Server, Setup};
use offhook_tests::wait::{self, PATIENCE};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// Takes what is signed; of three new messages it refuses one, once, where it is told to. What it has taken is in a file before it says so.
const RECEIVER: &str = r#"
import sys, base64, hashlib, hmac, http.server
port, path, secret, refuses = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4] == 'refuse'
key, taken, refused = base64.b64decode(secret.removeprefix('whsec_')), open(path, 'ab', buffering=0), set()

class Hook(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers['content-length']))
        id, at = self.headers['webhook-id'], self.headers['webhook-timestamp']
        mac = hmac.new(key, f'{id}.{at}.'.encode() + body, hashlib.sha256)
        expected = 'v1,' + base64.b64encode(mac.digest()).decode()
        if self.headers['webhook-signature'] != expected:
            taken.write(b'"a bad signature"\n')
            return self.send_error(400)
        if refuses and int(hashlib.md5(id.encode()).hexdigest(), 16) % 3 == 0 and id not in refused:
            refused.add(id)
            return self.send_error(500)
        taken.write(body + b'\n')
        self.send_response(204)
        self.end_headers()

    def log_message(self, *args): pass

http.server.ThreadingHTTPServer(('127.0.0.1', port), Hook).serve_forever()
"#;

fn receiver(server: &Server, port: u16, refuses: &str) -> Process {
    let taken = server.dir().join("taken");
    let args = ["-c", RECEIVER, &port.to_string(), taken.to_str().expect("UTF-8"), SECRET, refuses];
    Process::start("receiver", Path::new("python3"), args, server.dir().path())
}

fn taken(server: &Server) -> Vec<Value> {
    let text = std::fs::read_to_string(server.dir().join("taken")).unwrap_or_default();
    let lines = text.lines().map(|line| serde_json::from_str(line).expect("JSON"));
    let lines: Vec<Value> = lines.collect();
    assert!(lines.iter().all(Value::is_object), "every signature is good");
    lines
}

fn seqs(taken: &[Value]) -> BTreeSet<u64> {
    taken.iter().map(|event| event["seq"].as_u64().expect("a number")).collect()
}

async fn call(server: &Server, app: &mut App) {
    let caller = Caller::answered(server, app).await;
    app.client.play_start(&caller.res_id, "thank-you.wav", "").await.expect("a play");
    app.played(&caller.res_id).await;
    caller.hang_up().await;
    app.released(&caller.res_id).await;
}

/// Killed while it delivers, three times, once with nobody at the other end: whatever a subscriber has heard the hook has been
/// told, one call's events for the first time in their order, and one that an application added is still there.
#[tokio::test]
async fn a7_a_web_hook_misses_nothing_when_the_server_is_killed() {
    let (port, other) = (ports::one(), ports::one());
    let sections = format!(
        "[webhooks]\nallow_networks = [\"127.0.0.1\"]\n[[webhook]]\nurl = \"http://127.0.0.1:{port}/hook\"\n\
         types = [\"*\"]\nsecret = \"{SECRET}\"\nallow_networks = [\"127.0.0.1\"]"
    );
    let mut server = Server::start_with("webhook", &Setup { sections, ..Setup::default() }).await;
    let mut hook = Some(receiver(&server, port, "refuse"));
    let mut heard = BTreeSet::new();
    for round in 0..3_u8 {
        let mut app = App::connect(&server).await;
        if round == 0 {
            let url = format!("http://127.0.0.1:{other}/");
            let add = WebhookAdd { url, secret: Some(SECRET.to_owned()), ..Default::default() };
            app.client.call(&add).await.expect("a hook");
        }
        if round == 1 {
            // Nobody is there for a while.
            hook = None;
        }
        for _ in 0..3 {
            call(&server, &mut app).await;
        }
        heard.extend(app.history().iter().map(|event| event.seq));
        server.kill();
        server.end(PATIENCE).await;
        hook = hook.or_else(|| Some(receiver(&server, port, "take")));
        server.start_again().await;
    }
    // What was refused when nobody was there waits for half a minute.
    wait::until("everything at the hook", PATIENCE * 5, async || {
        heard.is_subset(&seqs(&taken(&server))).then_some(())
    })
    .await;
    let (mut last, mut first_times) = (BTreeMap::new(), BTreeSet::new());
    for event in taken(&server) {
        let (seq, res_id) = (event["seq"].as_u64().expect("a number"), event["params"]["res_id"].to_string());
        if first_times.insert(seq) {
            let before = last.insert(res_id, seq).unwrap_or_default();
            assert!(before < seq, "{seq} after {before}");
        }
    }
    let app = App::connect(&server).await;
    let hooks = app.client.call(&WebhookList {}).await.expect("hooks");
    let mut states: Vec<_> = hooks.iter().map(|hook| (hook.configured, hook.state)).collect();
    states.sort_by_key(|(configured, _)| *configured);
    assert_eq!(states, [(false, WebhookState::Failing), (true, WebhookState::Active)]);
    assert!(hooks.iter().all(|hook| hook.configured || hook.backlog > 20), "{hooks:?}");
}

/// Answers 204 to whatever comes, and counts it.
async fn counting(address: SocketAddr) -> Arc<AtomicUsize> {
    let listener = TcpListener::bind(address).await.expect("a port");
    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::Relaxed);
            let _ = socket.read(&mut [0; 4_096]).await;
            let _ = socket.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n").await;
        }
    });
    count
}

/// G22: a name that changes between an allowed address and one that is not, thousands of times in a second, in the server's own
/// `/etc/hosts`: who looked at what it comes to and then connected by the name would come to the wrong one now and then.
#[tokio::test(flavor = "multi_thread")]
async fn a6_a_name_that_means_something_else_a_moment_later_gains_nothing() {
    if !server::gives_disks() {
        eprintln!("SKIPPED: this machine gives no process a view of its own of the files (unshare -rm)");
        return;
    }
    let dir = TestDir::new("rebinding");
    let hosts = dir.join("hosts");
    let begin = "127.0.0.1 localhost\n127.0.0.";
    std::fs::write(&hosts, format!("{begin}1 rebound.test\n")).expect("a file");
    let mount = "mount --bind \"$0\" /etc/hosts && exec \"$@\"";
    let under = ["unshare", "-rm", "sh", "-c", mount].map(str::to_owned).into_iter();
    let under = under.chain([hosts.display().to_string()]).collect();
    let sections = "[webhooks]\nallow_networks = [\"127.0.0.1/32\"]\n".to_owned();
    let server = Server::start_with("rebinding", &Setup { under, sections, ..Setup::default() }).await;
    let app = App::connect(&server).await;
    let port = ports::one();
    let allowed = counting((Ipv4Addr::LOCALHOST, port).into()).await;
    let denied = counting((Ipv4Addr::new(127, 0, 0, 2), port).into()).await;
    let url = format!("http://rebound.test:{port}/");
    let add = WebhookAdd { url, secret: Some(SECRET.to_owned()), ..Default::default() };
    let id = app.client.call(&add).await.expect("a hook").id;

    let stop = Arc::new(AtomicBool::new(false));
    let stopped = stop.clone();
    let changing = std::thread::spawn(move || {
        let file = std::fs::File::options().write(true).open(hosts).expect("the file");
        let mut changes = 0_u64;
        while !stopped.load(Ordering::Relaxed) {
            let last = if changes.is_multiple_of(2) { b"2" } else { b"1" };
            file.write_all_at(last, begin.len() as u64).expect("a change");
            changes += 1;
            std::thread::yield_now();
        }
        changes
    });
    let mut delivered = 0;
    for _ in 0..300 {
        let tested = app.client.call(&WebhookTest { id: id.clone() }).await.expect("an outcome");
        delivered += usize::from(tested.delivered);
    }
    stop.store(true, Ordering::Relaxed);
    let changes = changing.join().expect("changes");
    let (allowed, denied) = (allowed.load(Ordering::Relaxed), denied.load(Ordering::Relaxed));
    println!("{changes} changes, {delivered} of 300 delivered, {denied} at the wrong address");
    assert_eq!((allowed, denied), (delivered, 0));
    assert!((10..290).contains(&delivered), "{delivered}: the name did not change");
}
