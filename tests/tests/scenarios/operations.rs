//! A node that is run for years (`operations.md`): whether it is ready, what the service manager hears, and a configuration that changes
//! under calls.

use std::time::Duration;

use offhook_client::Client;
use offhook_client::wire::{Construct, Gateways};
use offhook_tests::app::{self, App};
use offhook_tests::caller::Caller;
use offhook_tests::peer::Peer;
use offhook_tests::ports;
use offhook_tests::server::{Server, Setup};
use offhook_tests::wait::{self, PATIENCE};
use tokio::net::UnixDatagram;

use crate::gateways::takes_calls;

async fn until_log(server: &Server, text: &str) {
    let what = format!("{text:?} in the log");
    wait::until(&what, PATIENCE, async || server.log().contains(text).then_some(())).await;
}

async fn heard(manager: &UnixDatagram, wanted: &str) -> String {
    let what = format!("{wanted} from the node");
    let hear = async {
        let mut buffer = [0; 512];
        loop {
            let length = manager.recv(&mut buffer).await.expect("a datagram");
            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if text.lines().any(|line| line == wanted) {
                return text;
            }
        }
    };
    wait::within(&what, PATIENCE, hear).await
}

/// systemd's words, in its order: sd_notify(3), with a watchdog of a second.
#[tokio::test]
async fn the_service_manager_is_told() {
    let dir = offhook_tests::dir::TestDir::new("notify-socket");
    let socket = dir.join("notify");
    let manager = UnixDatagram::bind(&socket).expect("a socket");
    let variables =
        vec![("NOTIFY_SOCKET", socket.display().to_string()), ("WATCHDOG_USEC", "1000000".to_owned())];
    let mut server = Server::start_with("notify", &Setup { variables, ..Setup::default() }).await;
    heard(&manager, "READY=1").await;
    for _ in 0..3 {
        heard(&manager, "WATCHDOG=1").await;
    }
    server.reload();
    heard(&manager, "RELOADING=1").await;
    heard(&manager, "READY=1").await;
    server.terminate();
    let last = heard(&manager, "STOPPING=1").await;
    // Ten seconds for calls, ten for a disk that is full, and what comes after.
    assert!(last.contains("EXTEND_TIMEOUT_USEC=30000000"), "{last}");
    assert!(server.end(PATIENCE).await.success());
}

#[tokio::test]
async fn a_node_that_drains_is_not_ready_and_a_second_sigterm_ends_it() {
    let setup = Setup { sections: "[limits]\ndrain_seconds = 600".into(), ..Setup::default() };
    let mut server = Server::start_with("drain-twice", &setup).await;
    assert_eq!((server.status("/readyz").await, server.metric("offhook_draining").await), (200, 0));
    let mut app = App::connect(&server).await;
    let caller = Caller::answered(&server, &mut app).await;
    server.terminate();
    until_log(&server, "draining").await;
    assert_eq!((server.status("/readyz").await, server.status("/healthz").await), (503, 200));
    assert_eq!(server.metric("offhook_draining").await, 1);
    // What is up goes on.
    assert!(app.client.get(&caller.res_id).await.is_ok());
    // Gateways have been told that it goes.
    server.reload();
    until_log(&server, "the configuration is not read again: the node drains").await;
    assert!(!server.log().contains("the configuration has been reloaded"));
    server.terminate();
    caller.is_hung_up_on(PATIENCE).await;
    app.released(&caller.res_id).await;
    assert!(server.end(Duration::from_secs(10)).await.success());
}

fn carrier() -> Construct {
    Construct { to_uri: "bob@carrier".into(), ..app::to("127.0.0.1:9".parse().expect("an address")) }
}

#[tokio::test]
async fn a_gateway_is_added_under_calls() {
    let peer = Peer::start(takes_calls(ports::one())).await;
    let server = Server::start("reload").await;
    let mut app = App::connect(&server).await;
    let mut caller = Caller::answered(&server, &mut app).await;
    assert!(app.client.construct(&carrier()).await.is_ok(), "a host that is nobody's, and does not resolve");

    let file = server.configuration();
    let before = std::fs::read_to_string(&file).expect("the configuration");
    // What cannot be is refused, and said, with its place; the old one stays in force.
    std::fs::write(&file, before.replace("[rpc]", "[rpc]\nlissen = \"x\"")).expect("a file");
    server.reload();
    until_log(&server, "rpc.lissen: no such key; is rpc.listen meant?").await;
    assert_eq!(app.client.call(&Gateways {}).await.expect("gateways").len(), 1);

    let gateway =
        format!("[[sip.gateway]]\nname = \"carrier\"\nnetworks = []\naddress = \"{}\"\n", peer.address());
    let after = before.replace("[rpc]", "[limits]\ncalls = 3\n[rpc]\ntokens = [\"call:new\"]");
    std::fs::write(&file, format!("{after}\n{gateway}")).expect("a file");
    server.reload();
    until_log(&server, "the configuration has been reloaded").await;
    let call = app.dial_with(carrier()).await;
    assert_eq!(app.dialled(&call, PATIENCE).await.error, None);
    assert_eq!(app.client.get(&call).await.expect("a call").gateway.as_deref(), Some("carrier"));

    // The call that was up has noticed nothing.
    let tone = offhook_tests::wav::Signal::sine(600.0, 0.3, 400);
    let media = caller.media;
    caller.rtp.speak(&tone, media).await;
    caller.hang_up().await;
    assert_eq!(app.released(&caller.res_id).await.cause, 200);
    app.hang_up(&call).await;
    app.released(&call).await;
    // New connections show the new token; those that there are go on.
    assert!(Client::connect(&server.rpc_url(), None).await.is_err());
    assert!(Client::connect(&server.rpc_url(), Some("new")).await.is_ok());
}

/// By proc_pid_stat(5): the policy of a thread, and its priority among those in real time.
fn policy(stat: &str) -> Option<(u32, u32)> {
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    Some((fields.get(38)?.parse().ok()?, fields.get(37)?.parse().ok()?))
}

/// Media threads are in real time (SCHED_RR, 2 in sched(7)) where that is asked for and allowed, by the lowest priority, and
/// nothing else is; where it is not allowed the log says so.
#[tokio::test]
async fn media_threads_come_first_where_that_is_asked_for() {
    let server =
        Server::start_with("realtime", &Setup { media: "realtime = true".to_owned(), ..Setup::default() })
            .await;
    let may = std::process::Command::new("chrt").args(["--rr", "1", "true"]).status();
    if !may.is_ok_and(|status| status.success()) {
        return until_log(&server, "media.realtime: this thread has no right to real time").await;
    }
    let (mut media, mut others) = (Vec::new(), Vec::new());
    for task in std::fs::read_dir(format!("/proc/{}/task", server.id())).expect("its threads").flatten() {
        let stat = std::fs::read_to_string(task.path().join("stat")).unwrap_or_default();
        let threads = if stat.contains("(media-") { &mut media } else { &mut others };
        threads.extend(policy(&stat));
    }
    assert!(!media.is_empty() && media.iter().all(|policy| *policy == (2, 1)), "{media:?}");
    assert!(!others.is_empty() && others.iter().all(|policy| *policy == (0, 0)), "{others:?}");
}
