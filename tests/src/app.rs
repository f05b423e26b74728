//! An application: a client and its event stream. It hands events out by what a test waits for, keeps all of them, and
//! can say at the end whether the promises of the API held (`call-api.md` §2): `seq` without a hole, exactly one
//! `on_released` per call and conference, and that one last.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use offhook_client::wire::{
    self, EventKind, OnDialCompleted, OnIncoming, OnPlayCompleted, OnReceiveDtmfCompleted, OnRecordCompleted,
    OnReleased,
};
use offhook_client::{Client, Event, Events};

use crate::server::Server;
use crate::wait::{self, PATIENCE};

/// The longest talk that the tests allow: none of them lasts so long.
pub const MAX_ANSWER_SECONDS: u32 = 1_200;

/// Where the connections of applications live. Not on the thread of their test: one that compares what was heard for some
/// seconds must go on answering the server's pings, or is taken for frozen and cut off.
static CONNECTIONS: LazyLock<tokio::runtime::Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a thread for connections")
});

/// A connected application with a subscription to all events.
#[derive(Debug)]
pub struct App {
    /// The client; requests may be made from several tasks.
    pub client: Arc<Client>,
    events: Events,
    waiting: VecDeque<Event>,
    history: Vec<Event>,
}

impl App {
    /// Connects to `server`, and subscribes to what happens from now on, the events that one must name included: only who
    /// gets everything can see a hole in `seq`.
    pub async fn connect(server: &Server) -> Self {
        Self::connect_after(server, None).await
    }

    /// Connects to `server`, and subscribes to what happened after event `after`.
    pub async fn connect_after(server: &Server, after: Option<u64>) -> Self {
        let url = server.rpc_url();
        let connecting = CONNECTIONS.spawn(async move {
            let client = Client::connect(&url, None).await.expect("a connection to the server");
            let events = client.subscribe(after, Some(&["*"])).await.expect("a subscription");
            (client, events)
        });
        let (client, events) = connecting.await.expect("a connection and a subscription");
        Self { client: Arc::new(client), events, waiting: VecDeque::new(), history: Vec::new() }
    }

    /// All events so far.
    pub fn history(&self) -> &[Event] {
        &self.history
    }

    /// The next event that `pick` takes; earlier ones that it does not take wait for somebody else.
    pub async fn event<T>(
        &mut self,
        what: &str,
        patience: Duration,
        pick: impl Fn(&EventKind) -> Option<T>,
    ) -> T {
        let place = self.waiting.iter().position(|event| pick(&event.kind).is_some());
        if let Some(event) = place.and_then(|place| self.waiting.remove(place)) {
            return pick(&event.kind).expect("taken a moment ago");
        }
        let deadline = tokio::time::Instant::now() + patience;
        loop {
            let next = tokio::time::timeout_at(deadline, self.events.next()).await;
            let next = next.unwrap_or_else(|_| {
                panic!("waited {patience:?} in vain for {what}; came: {:#?}", self.names())
            });
            let event = next.expect("a subscription goes on").expect("an event");
            self.history.push(event.clone());
            match pick(&event.kind) {
                Some(taken) => return taken,
                None => self.waiting.push_back(event),
            }
        }
    }

    /// The next inbound call.
    pub async fn incoming(&mut self) -> OnIncoming {
        let pick = |kind: &EventKind| match kind {
            EventKind::Incoming(incoming) => Some(incoming.clone()),
            _ => None,
        };
        self.event("on_incoming", PATIENCE, pick).await
    }

    /// Answers the next inbound call; it is Idle then.
    pub async fn answer(&mut self) -> String {
        let res_id = self.incoming().await.res_id;
        self.client.answer(&res_id, MAX_ANSWER_SECONDS).await.expect("an answered call");
        res_id
    }

    /// Places a call to `callee` (`host:port`), a URI of user `bob` there.
    pub async fn dial(&self, callee: std::net::SocketAddr, max_ring_seconds: u32) -> String {
        self.dial_with(wire::Construct { max_ring_seconds, ..to(callee) }).await
    }

    /// Places any call.
    pub async fn dial_with(&self, construct: wire::Construct) -> String {
        self.client.construct(&construct).await.expect("a call on its way").res_id
    }

    /// Ends a call with the default cause.
    pub async fn hang_up(&self, res_id: &str) {
        // Through the reference, since an `Arc` has a `drop` of its own.
        self.client.drop_call(res_id, 603).await.expect("a drop");
    }

    /// How the dialling of this call ended.
    pub async fn dialled(&mut self, res_id: &str, patience: Duration) -> OnDialCompleted {
        let pick = |kind: &EventKind| match kind {
            EventKind::DialCompleted(event) if event.res_id == res_id => Some(event.clone()),
            _ => None,
        };
        self.event("on_dial_completed", patience, pick).await
    }

    /// How the play of this call ended.
    pub async fn played(&mut self, res_id: &str) -> OnPlayCompleted {
        let pick = |kind: &EventKind| match kind {
            EventKind::PlayCompleted(event) if event.res_id == res_id => Some(event.clone()),
            _ => None,
        };
        self.event("on_play_completed", PATIENCE, pick).await
    }

    /// How the recording of this call ended.
    pub async fn recorded(&mut self, res_id: &str) -> OnRecordCompleted {
        let pick = |kind: &EventKind| match kind {
            EventKind::RecordCompleted(event) if event.res_id == res_id => Some(event.clone()),
            _ => None,
        };
        self.event("on_record_completed", PATIENCE, pick).await
    }

    /// Which keys this call collected.
    pub async fn keys(&mut self, res_id: &str) -> OnReceiveDtmfCompleted {
        let pick = |kind: &EventKind| match kind {
            EventKind::ReceiveDtmfCompleted(event) if event.res_id == res_id => Some(event.clone()),
            _ => None,
        };
        self.event("on_receive_dtmf_completed", PATIENCE, pick).await
    }

    /// The end of this call.
    pub async fn released(&mut self, res_id: &str) -> OnReleased {
        self.released_within(res_id, PATIENCE).await
    }

    /// The end of this call, which may take its time.
    pub async fn released_within(&mut self, res_id: &str, patience: Duration) -> OnReleased {
        let pick = |kind: &EventKind| match kind {
            EventKind::Released(event) if event.res_id == res_id => Some(event.clone()),
            _ => None,
        };
        self.event("on_released", patience, pick).await
    }

    /// Whether the promises about the order of events held for all that has come; panics where they did not.
    pub fn check_order(&self) {
        for pair in self.history.windows(2) {
            assert_eq!(pair[1].seq, pair[0].seq + 1, "{} after {}", pair[1].raw, pair[0].raw);
        }
        let mut released: HashMap<&str, u64> = HashMap::new();
        for event in &self.history {
            let Some(res_id) = event.res_id() else { continue };
            let over = released.get(res_id);
            assert_eq!(over, None, "an event after on_released: {}", event.raw);
            if matches!(event.kind, EventKind::Released(_) | EventKind::ConferenceReleased(_)) {
                released.insert(res_id, event.seq);
            }
        }
    }

    fn names(&self) -> Vec<String> {
        self.history.iter().map(|event| event.raw.to_string()).collect()
    }
}

/// A call to `callee`, user `bob`.
pub fn to(callee: std::net::SocketAddr) -> wire::Construct {
    wire::Construct {
        from_uri: "sip:offhook@127.0.0.1".into(),
        to_uri: format!("sip:bob@{callee}").into(),
        max_answer_seconds: MAX_ANSWER_SECONDS,
        ..Default::default()
    }
}

/// Ends a connection the hard way: the application is gone without a word.
pub async fn vanish(app: App) {
    let App { client, events, .. } = app;
    drop(events);
    wait::within("the client's end", PATIENCE, async { drop(client) }).await;
}
