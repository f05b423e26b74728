//! What requests and events cost the server, and how soon it is there: CPU time per request and per event and subscriber,
//! over WebSocket, and the time from the start of the process to the answer of a first call.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use offhook_client::wire::{ConfConstruct, ConfRelease};
use offhook_client::{Client, Events};
use offhook_tests::server::Server;
use offhook_tests::wait::{self, PATIENCE};

use crate::caller::Switchboard;
use crate::ear::percentiles;
use crate::ivr::{self, Service};
use crate::process::CpuTime;
use crate::table;

/// Requests whose cost is measured, and how many of them are under way at a time.
const REQUESTS: usize = 50_000;
const AT_A_TIME: usize = 16;
/// Conferences that are opened and released, each of them an event, while more or fewer listen.
const EVENTS: usize = 4_000;
const MORE: usize = 50;
/// Starts of the server.
const STARTS: usize = 10;

/// What is to be reached: microseconds per request, per event and subscriber, and milliseconds from the start.
const REQUEST_US: f64 = 20.0;
const FAN_OUT_US: f64 = 5.0;
const START_MS: f64 = 200.0;

/// Prints the three figures. Whether all are within reach.
pub(crate) async fn run() -> bool {
    let server = Server::start("bench-rpc").await;
    let request = cost_of_a_request(&server).await;
    let is_cheap = request <= REQUEST_US;
    table::figure("CPU µs per request", &format!("{request:.1}"), "20", is_cheap);
    let delivery = cost_of_a_delivery(&server).await;
    let is_light = delivery <= FAN_OUT_US;
    table::figure("… per event and subscriber", &format!("{delivery:.1}"), "5", is_light);
    let [middle, .., most] = cold_start(server).await;
    let is_soon = most <= START_MS;
    table::figure("ms to the first answer", &format!("{middle:.0}, at most {most:.0}"), "200", is_soon);
    is_cheap && is_light && is_soon
}

async fn connect(server: &Server) -> Arc<Client> {
    Arc::new(Client::connect(&server.rpc_url(), None).await.expect("a connection to the server"))
}

/// Whether a call exists is asked that does not: of the request, nothing but its way is left.
async fn cost_of_a_request(server: &Server) -> f64 {
    let client = connect(server).await;
    let before = CpuTime::of(server.id());
    let askers = (0..AT_A_TIME).map(|_| {
        let client = Arc::clone(&client);
        tokio::spawn(async move {
            for _ in 0..REQUESTS / AT_A_TIME {
                assert!(!client.exists("0.0.0-sys.call-0").await.expect("an answer"), "no such call");
            }
        })
    });
    for asker in askers.collect::<Vec<_>>() {
        asker.await.expect("all answers");
    }
    micros(CpuTime::of(server.id()).since(before)) / REQUESTS as f64
}

/// What each of many more subscribers adds to an event.
async fn cost_of_a_delivery(server: &Server) -> f64 {
    let client = connect(server).await;
    let alone = events(server, &client, 1).await;
    let together = events(server, &client, 1 + MORE).await;
    (together - alone) / (EVENTS * MORE) as f64
}

/// Microseconds of CPU time for so many events with so many subscribers, each on a connection of its own.
async fn events(server: &Server, client: &Client, subscribers: usize) -> f64 {
    let mut listeners = Vec::new();
    for _ in 0..subscribers {
        let own = connect(server).await;
        let events = own.subscribe(None, None).await.expect("a subscription");
        listeners.push(tokio::spawn(listen(own, events)));
    }
    let before = CpuTime::of(server.id());
    for _ in 0..EVENTS {
        let open = ConfConstruct { max_seconds: 60, ..Default::default() };
        let res_id = client.call(&open).await.expect("a conference").res_id;
        client.call(&ConfRelease { res_id }).await.expect("its end");
    }
    for listener in listeners {
        wait::within("every event at every subscriber", PATIENCE, listener).await.expect("all events");
    }
    micros(CpuTime::of(server.id()).since(before))
}

/// Hears one event for each conference. The connection lives as long.
async fn listen(_client: Arc<Client>, mut events: Events) {
    for _ in 0..EVENTS {
        let event = events.next().await.expect("a subscription goes on").expect("an event");
        assert_eq!(event.type_name(), "sys.conf.on_released");
    }
}

/// From before the process is started until a call is answered, in milliseconds.
async fn cold_start(mut server: Server) -> [f64; 4] {
    let mut times = Vec::new();
    for number in 0..STARTS {
        server.kill();
        server.end(PATIENCE).await;
        let begun = Instant::now();
        server.start_again().await;
        ivr::start(&server, Service::LeaveAlone).await;
        let board = Switchboard::open(server.sip()).await;
        let nobody = SocketAddr::from((Ipv4Addr::LOCALHOST, 9));
        let call = board.call(number, nobody, 0).await.expect("an answered call");
        times.push(u32::try_from(begun.elapsed().as_micros()).unwrap_or(u32::MAX));
        board.hang_up(call).await.expect("an end of the call");
    }
    percentiles(&mut times)
}

fn micros(time: CpuTime) -> f64 {
    time.total().as_secs_f64() * 1_000_000.0
}
