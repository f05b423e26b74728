//! The application of the bench: it answers every call, and plays to it or not; it counts how calls ended.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use offhook_client::wire::{ConfConstruct, ConfEnter, ConnectStart, EventKind, PlayStart, RecordStart};
use offhook_client::{Client, Error, Events};
use offhook_tests::app::MAX_ANSWER_SECONDS;
use offhook_tests::server::Server;

/// What it does with an answered call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    /// Plays this prompt, over and over.
    Play(&'static str),
    /// Records it.
    Record,
    /// Connects it with the call before, if that waits for one.
    Connect,
    /// The same, and records what both say.
    ConnectRecorded,
    /// Lets so many of them at a time into a conference of their own.
    Conference(u64),
    /// Nothing.
    LeaveAlone,
}

/// All calls in one conference.
pub(crate) const EVERYBODY: u64 = u64::MAX;

/// What it has seen.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// Calls that were answered and served.
    pub(crate) served: AtomicU64,
    /// Calls that are over with cause 200.
    pub(crate) released: AtomicU64,
    /// Requests that were refused, and calls that ended otherwise.
    pub(crate) failed: AtomicU64,
    /// The call that waits to be connected.
    waiting: Mutex<Option<String>>,
    /// The conference that is being filled, and how many are in it.
    filling: tokio::sync::Mutex<Option<(String, u64)>>,
}

impl Counts {
    /// Forgets all that it has seen.
    pub(crate) async fn reset(&self) {
        for counter in [&self.served, &self.released, &self.failed] {
            counter.store(0, Ordering::Relaxed);
        }
        *self.waiting.lock().expect("the one that waits") = None;
        *self.filling.lock().await = None;
    }

    /// A place in a conference of so many members, which is opened for the first of them.
    async fn place(&self, client: &Client, size: u64) -> Result<String, Error> {
        let mut filling = self.filling.lock().await;
        let (conference, members) = match filling.take().filter(|(_, members)| *members < size) {
            Some(filling) => filling,
            None => {
                let max_seconds = MAX_ANSWER_SECONDS;
                let open = ConfConstruct { max_seconds, parts_threshold: -1, ..Default::default() };
                (client.call(&open).await?.res_id, 0)
            }
        };
        *filling = Some((conference.clone(), members + 1));
        Ok(conference)
    }
}

/// Starts it, on a connection of its own.
pub(crate) async fn start(server: &Server, service: Service) -> Arc<Counts> {
    let client =
        Arc::new(Client::connect(&server.rpc_url(), None).await.expect("a connection to the server"));
    let events = client.subscribe(None, None).await.expect("a subscription");
    let counts = Arc::new(Counts::default());
    tokio::spawn(attend(client, events, service, Arc::clone(&counts)));
    counts
}

async fn attend(client: Arc<Client>, mut events: Events, service: Service, counts: Arc<Counts>) {
    while let Some(Ok(event)) = events.next().await {
        match event.kind {
            EventKind::Incoming(incoming) => {
                tokio::spawn(serve(Arc::clone(&client), incoming.res_id, service, Arc::clone(&counts)));
            }
            EventKind::Released(released) if released.cause == 200 => {
                counts.released.fetch_add(1, Ordering::Relaxed);
            }
            EventKind::Released(released) => {
                eprintln!("released: {released:?}");
                counts.failed.fetch_add(1, Ordering::Relaxed);
            }
            EventKind::Gap(gap) => {
                eprintln!("events missed: {gap:?}");
                counts.failed.fetch_add(1, Ordering::Relaxed);
            }
            _ => {}
        }
    }
}

async fn serve(client: Arc<Client>, res_id: String, service: Service, counts: Arc<Counts>) {
    let count = match act(&client, res_id, service, &counts).await {
        Ok(()) => &counts.served,
        Err(error) => {
            eprintln!("not served: {error}");
            &counts.failed
        }
    };
    count.fetch_add(1, Ordering::Relaxed);
}

async fn act(client: &Client, res_id: String, service: Service, counts: &Counts) -> Result<(), Error> {
    client.answer(&res_id, MAX_ANSWER_SECONDS).await?;
    match service {
        Service::LeaveAlone => Ok(()),
        Service::Play(prompt) => {
            let play = PlayStart { res_id, content: prompt.into(), repeat: 1000, ..Default::default() };
            client.call(&play).await
        }
        Service::Record => {
            let record_file = format!("{res_id}.wav");
            let max_seconds = MAX_ANSWER_SECONDS;
            client.call(&RecordStart { res_id, record_file, max_seconds, ..Default::default() }).await?;
            Ok(())
        }
        Service::Conference(size) => {
            let (conf_res_id, max_seconds) = (counts.place(client, size).await?, MAX_ANSWER_SECONDS);
            client.call(&ConfEnter { res_id, conf_res_id, max_seconds, ..Default::default() }).await
        }
        Service::Connect | Service::ConnectRecorded => {
            let first = counts.waiting.lock().expect("the one that waits").take();
            match first {
                Some(first) => {
                    let record_file = (service == Service::ConnectRecorded).then(|| format!("{first}.wav"));
                    let max_seconds = MAX_ANSWER_SECONDS;
                    let parties = ConnectStart { res_id: first, call_res_id: res_id, ..Default::default() };
                    client.call(&ConnectStart { max_seconds, record_file, ..parties }).await
                }
                None => {
                    *counts.waiting.lock().expect("the one that waits") = Some(res_id);
                    Ok(())
                }
            }
        }
    }
}
