//! Requests that are sent again (`reliability.md` G21): whatever connections they come by, and whatever becomes of the server,
//! no telephone rings twice.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use offhook_client::{Client, Error, wire};
use offhook_tests::agent::Agent;
use offhook_tests::server::{Server, Setup};
use offhook_tests::wait::PATIENCE;

/// How many applications ask at the same time, each by a connection of its own for every request.
const SENDERS: usize = 8;

/// As many ports as are at rest for 5 s each after as many calls as are placed in that time, and more.
const RTP_PORTS_MAX: u16 = 8_000;

/// Refuses every call, and tells by which Call-IDs each user was called.
async fn refuse_all(
    agent: Arc<Agent>,
    stop: tokio::sync::oneshot::Receiver<()>,
) -> HashMap<String, HashSet<String>> {
    let mut rung: HashMap<String, HashSet<String>> = HashMap::new();
    let refusing = async {
        loop {
            let invite = agent.request("INVITE", Duration::from_secs(600)).await;
            let user =
                invite.text.split(['@', ' ']).nth(1).expect("a user").trim_start_matches("sip:").to_owned();
            rung.entry(user).or_default().insert(invite.header("Call-ID").expect("a Call-ID"));
            agent.answer(&invite, "486 Busy Here").await;
        }
    };
    tokio::select! {
        () = refusing => {}
        _ = stop => {}
    }
    rung
}

/// Asks for one call until there is an answer: its `res_id`, or none where nobody knows what came of it.
async fn ask(url: &str, construct: &wire::Construct, key: &str) -> Option<String> {
    loop {
        let asked = match Client::connect(url, None).await {
            Ok(client) => client.call_once(construct, key).await,
            Err(error) => Err(error),
        };
        match asked {
            Ok(once) => return Some(once.result.res_id),
            Err(error) if error.reason() == Some("outcome_unknown") => return None,
            Err(Error::Rpc { code, message, .. }) => panic!("{key}: {code} {message}"),
            // The server is gone: it will be back.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

/// The short form of G21; a thousand are in the tests of the server itself.
#[tokio::test]
async fn g21_calls_that_are_asked_for_again_and_again_are_placed_once() {
    are_placed_once("keys", 200).await;
}

#[tokio::test]
#[ignore = "half a minute: cargo test --package offhook-tests --test scenarios g21 -- --ignored --nocapture"]
async fn g21_ten_thousand_calls_that_are_asked_for_again_and_again_are_placed_once() {
    are_placed_once("keys-long", 10_000).await;
}

async fn are_placed_once(name: &str, calls: usize) {
    let sections = "[limits]\ncalls_per_second = 1000\n".to_owned();
    let rtp_ports = u16::try_from(3 * calls).unwrap_or(u16::MAX).min(RTP_PORTS_MAX);
    let mut server = Server::start_with(name, &Setup { rtp_ports, sections, ..Setup::default() }).await;
    let callee = Arc::new(Agent::new(server.sip()).await);
    let (stop, stopped) = tokio::sync::oneshot::channel();
    let refusing = tokio::spawn(refuse_all(callee.clone(), stopped));
    let (url, address) = (server.rpc_url(), callee.address());
    let begun = Arc::new(AtomicUsize::new(0));
    let senders: Vec<_> = (0..SENDERS)
        .map(|sender| {
            let (url, begun) = (url.clone(), begun.clone());
            tokio::spawn(async move {
                let mut told = HashMap::new();
                for call in (sender..calls).step_by(SENDERS) {
                    let construct = wire::Construct {
                        from_uri: "application@127.0.0.1".to_owned(),
                        to_uri: format!("call-{call}@{address}").into(),
                        max_answer_seconds: 60,
                        ..Default::default()
                    };
                    let answers: HashSet<_> = {
                        let mut answers = HashSet::new();
                        for _time in 0..1 + call % 5 {
                            answers.insert(ask(&url, &construct, &format!("key {call}")).await);
                            begun.fetch_add(1, Ordering::Relaxed);
                        }
                        answers
                    };
                    told.insert(format!("call-{call}"), answers);
                }
                told
            })
        })
        .collect();
    while begun.load(Ordering::Relaxed) < calls {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    server.kill();
    server.end(PATIENCE).await;
    server.start_again().await;
    let mut told = HashMap::new();
    for sender in senders {
        told.extend(sender.await.expect("a sender"));
    }
    let _ = stop.send(());
    let rung = refusing.await.expect("a callee");
    assert_eq!(told.len(), calls);
    let mut names = HashSet::new();
    for (user, answers) in &told {
        assert_eq!(answers.len(), 1, "{user} was told {answers:?}");
        names.extend(answers.iter().flatten().cloned());
    }
    let twice: Vec<_> = rung.iter().filter(|(_, calls)| calls.len() > 1).collect();
    assert!(twice.is_empty(), "{twice:?}");
    // What was under way at the kill may have been placed or not; nothing else is missing, and each has a name of its own.
    let unknown = calls - names.len();
    println!("{} telephones rang once, {unknown} outcomes are unknown", rung.len());
    assert!(unknown <= SENDERS && rung.len() + SENDERS >= calls, "{unknown}, {}", rung.len());
}
