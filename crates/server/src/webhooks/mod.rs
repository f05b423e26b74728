//! Web hooks (`notifications.md`): readers of the event log that POST what they read.
//!
//! ```text
//!   event log ─▶ hook ─▶ words of its format ─▶ delivery (order, retries) ─▶ POST, up to 8 at a time
//!                  ▲                                │
//!      list, test, redeliver …                      └─▶ webhooks/ID.json: how far it is
//! ```
//! All of them live on a thread of their own, so that neither their handshakes nor their bodies take time of the requests and
//! subscriptions of applications. A hook that hangs waits for itself alone.

mod definition;
mod delivery;
mod guard;
mod hook;
mod memory;
mod post;
mod sign;
mod verify;
mod words;

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;

use offhook_client::wire::limits::WEBHOOKS_MAX;
use offhook_client::wire::{WebhookFormat, WebhookInfo, WebhookTested};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

use crate::config::value::Network;
use crate::config::{Config, Webhook};
use crate::events::EventLog;
pub use definition::{Definition, Fault};
use delivery::Saved;
pub(crate) use guard::{addresses, is_denied};
use hook::{Ask, Hook, Shared};
use memory::{Memory, Remembered};
use post::{Client, Target};
pub use verify::{Settings, Unverified};
pub(crate) use words::{SpRecord, Told};

/// Threads that wait for the name service and for the disk.
const BLOCKING_THREADS: usize = 16;

/// Questions that wait for a hook, or for all of them: each is answered within a read of the disk.
const ASKS: usize = 64;

/// Hooks that are asked at a time whether they want to be some.
const VERIFYING_MAX: usize = 4;

/// The thread of all web hooks.
#[derive(Debug)]
pub struct Webhooks {
    closing: watch::Sender<bool>,
    thread: JoinHandle<()>,
}

/// The asking end of that thread.
#[derive(Clone, Debug)]
pub struct WebhooksHandle {
    orders: mpsc::Sender<Order>,
    listeners: watch::Receiver<usize>,
}

/// Why something is not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is no hook of this id.
    Unknown,
    /// There is another one in its place.
    Exists,
    /// There are as many as there may be, or as many tests at a time.
    TooMany(usize),
    /// It is at an address where no hook may be.
    Denied,
    /// It is of the configuration, which says what it is.
    Configured,
    /// The disk does not take it.
    Disk,
    /// The server ends, or has too much to do.
    Busy,
}

#[derive(Debug)]
enum Order {
    Add(Definition, oneshot::Sender<Result<String, Refusal>>),
    Remove(String, oneshot::Sender<Result<bool, Refusal>>),
    List(oneshot::Sender<Vec<WebhookInfo>>),
    Test(String, oneshot::Sender<Result<WebhookTested, Refusal>>),
    Subscribe(Settings, oneshot::Sender<Result<Settings, Unverified>>),
    Verified(Settings, oneshot::Sender<Result<Settings, Unverified>>),
    Redeliver(Option<String>, u64, oneshot::Sender<Result<u64, Refusal>>),
}

impl Webhooks {
    /// Starts those that are configured, which may change later, and those that applications have added to former runs.
    ///
    /// # Errors
    /// What is remembered cannot be read, or the authorities of `webhooks.ca` cannot.
    pub fn start(
        config: &Config,
        configured: watch::Receiver<Arc<[Webhook]>>,
        log: Arc<EventLog>,
    ) -> io::Result<(Self, WebhooksHandle)> {
        let memory = Memory::open(&config.node.data_dir)?;
        let client = Client::new(&config.webhooks.ca)?;
        let (closing, closed) = watch::channel(false);
        let (orders, ordered) = mpsc::channel(ASKS);
        let (listening, listeners) = watch::channel(0);
        let manager = Manager {
            shared: Shared { log, client, memory, node: config.node.id, listening },
            allowed: config.webhooks.allow_networks.clone().into(),
            hooks: BTreeMap::new(),
            tasks: JoinSet::new(),
            closed,
            configured,
            orders: orders.clone(),
            verifying: JoinSet::new(),
        };
        let configured = manager.configured.borrow().clone();
        let found = manager.find(&configured)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(BLOCKING_THREADS)
            .build()?;
        let run = move || {
            runtime.block_on(manager.run(found, ordered));
            // A name service that hangs must not hold up the end.
            runtime.shutdown_background();
        };
        let thread = std::thread::Builder::new().name("webhooks".to_owned()).spawn(run)?;
        Ok((Self { closing, thread }, WebhooksHandle { orders, listeners }))
    }

    /// Lets every hook deliver what it can in a short time, and remember the rest. Blocks.
    pub fn stop(self) {
        let _ = self.closing.send(true);
        if self.thread.join().is_err() {
            tracing::error!("the thread of web hooks broke");
        }
    }
}

impl WebhooksHandle {
    /// How many hear of inbound calls: whoever is there acts on them by POST.
    pub fn listeners(&self) -> watch::Receiver<usize> {
        self.listeners.clone()
    }

    /// Adds a hook whose definition has been checked; its id.
    pub async fn add(&self, definition: Definition) -> Result<String, Refusal> {
        self.ask(|reply| Order::Add(definition, reply)).await?
    }

    /// Removes one that was added, if it is there.
    pub async fn remove(&self, id: String) -> Result<bool, Refusal> {
        self.ask(|reply| Order::Remove(id, reply)).await?
    }

    /// How all of them are, in the order of their ids.
    pub async fn list(&self) -> Result<Vec<WebhookInfo>, Refusal> {
        self.ask(Order::List).await
    }

    /// Sends one a message that means nothing.
    pub async fn test(&self, id: String) -> Result<WebhookTested, Refusal> {
        self.ask(|reply| Order::Test(id, reply)).await?
    }

    /// Has one, or all, begin again after an event; how many do.
    pub async fn redeliver(&self, id: Option<String>, after: u64) -> Result<u64, Refusal> {
        self.ask(|reply| Order::Redeliver(id, after, reply)).await?
    }

    /// Sets where the events of SpRecord go, once the hook there has verified that it wants them; what is set then.
    pub async fn subscribe(&self, settings: Settings) -> Result<Settings, Unverified> {
        self.ask(|reply| Order::Subscribe(settings, reply)).await.map_err(Unverified::Refused)?
    }

    async fn ask<T>(&self, order: impl FnOnce(oneshot::Sender<T>) -> Order) -> Result<T, Refusal> {
        let (reply, answer) = oneshot::channel();
        self.orders.try_send(order(reply)).map_err(|_| Refusal::Busy)?;
        answer.await.map_err(|_| Refusal::Busy)
    }
}

/// A hook that is to run: what it is, the networks it may be in, and what is remembered of it.
struct Found {
    hook: Definition,
    is_added: bool,
    allowed: Arc<[Network]>,
    saved: Saved,
}

struct Manager {
    shared: Shared,
    /// Where those may be that applications add.
    allowed: Arc<[Network]>,
    hooks: BTreeMap<String, Running>,
    tasks: JoinSet<()>,
    closed: watch::Receiver<bool>,
    /// Those of the configuration, which may change.
    configured: watch::Receiver<Arc<[Webhook]>>,
    /// For those that are verified.
    orders: mpsc::Sender<Order>,
    verifying: JoinSet<()>,
}

struct Running {
    definition: Definition,
    is_added: bool,
    allowed: Arc<[Network]>,
    asks: mpsc::Sender<Ask>,
}

impl Manager {
    /// Those of the configuration and those that are remembered. What is remembered of one that is not in the
    /// configuration any more is forgotten.
    fn find(&self, configured: &[Webhook]) -> io::Result<Vec<Found>> {
        let mut found = Vec::new();
        found.extend(configured.iter().map(|hook| self.configured_one(hook, None)));
        for id in self.shared.memory.ids()? {
            if found.iter().any(|found| found.hook.id() == id) {
                continue;
            }
            let Some(Remembered { definition: Some(hook), saved }) = self.remembered(&id) else {
                tracing::warn!(
                    hook = id,
                    "what is remembered of a web hook that is configured no more is forgotten"
                );
                self.shared.memory.forget(&id)?;
                continue;
            };
            found.push(Found { hook, is_added: true, allowed: self.allowed.clone(), saved });
        }
        Ok(found)
    }

    /// One of the configuration, which goes on from where it was.
    fn configured_one(&self, hook: &Webhook, saved: Option<Saved>) -> Found {
        let definition = hook.definition();
        let saved = saved.or_else(|| Some(self.remembered(&definition.id())?.saved));
        Found {
            saved: saved.unwrap_or_else(|| Saved::after(self.shared.log.newest())),
            hook: definition,
            is_added: false,
            allowed: hook.allow_networks.clone().into(),
        }
    }

    /// What is remembered of a hook. Where that is damaged, its hook is told all that is kept: rather twice than never.
    fn remembered(&self, id: &str) -> Option<Remembered> {
        self.shared.memory.read(id).unwrap_or_else(|error| {
            tracing::error!(%error, hook = id, "what a web hook was told is not known any more: it is told everything again");
            Some(Remembered { definition: None, saved: Saved::after(self.shared.log.oldest() - 1) })
        })
    }

    async fn run(mut self, found: Vec<Found>, mut orders: mpsc::Receiver<Order>) {
        for found in found {
            self.start(found);
        }
        let mut closed = self.closed.clone();
        loop {
            tokio::select! {
                Some(order) = orders.recv() => self.carry_out(order).await,
                _ = closed.wait_for(|closed| *closed) => break,
                Ok(()) = self.configured.changed() => self.configure().await,
                Some(_) = self.verifying.join_next() => {}
                Some(ended) = self.tasks.join_next() => if let Err(error) = ended {
                    tracing::error!(%error, "a web hook broke");
                },
            }
        }
        while self.tasks.join_next().await.is_some() {}
    }

    fn start(&mut self, found: Found) {
        let Found { hook, is_added, allowed, saved } = found;
        let id = hook.id();
        let target = match Target::new(&hook.url, allowed.clone()) {
            Ok(target) => target,
            Err(error) => return tracing::error!(%error, hook = id, "a web hook has no URL any more"),
        };
        let (asks, asked) = mpsc::channel(ASKS);
        let definition = hook.clone();
        let hook = Hook::new((hook, is_added), target, saved, self.shared.clone());
        self.tasks.spawn(hook.run(asked, self.closed.clone()));
        self.hooks.insert(id, Running { definition, is_added, allowed, asks });
    }

    /// Has those run that are configured now: what has not changed is left alone, and one that has goes on where it was.
    async fn configure(&mut self) {
        let configured = self.configured.borrow_and_update().clone();
        let wanted: BTreeMap<String, &Webhook> =
            configured.iter().map(|hook| (hook.definition().id(), hook)).collect();
        let is_as_wanted = |id: &String, running: &Running| match wanted.get(id) {
            None => running.is_added,
            Some(hook) => {
                let is_same =
                    running.definition == hook.definition() && *running.allowed == *hook.allow_networks;
                is_same && !running.is_added
            }
        };
        let other = self.hooks.iter().filter(|(id, running)| !is_as_wanted(id, running));
        let other: Vec<String> = other.map(|(id, _)| id.clone()).collect();
        // Nobody who calls in meanwhile is refused for want of a hook that is only being changed.
        let listeners = *self.shared.listening.borrow();
        let _listener = (listeners > 0).then(|| self.shared.listener());
        for id in other {
            let saved = self.end(&id).await;
            match wanted.get(&id) {
                Some(hook) => self.start(self.configured_one(hook, saved)),
                None => {
                    let (memory, name) = (self.shared.memory.clone(), id);
                    // What stays is forgotten at the next start, and told in the log here.
                    let _ = on_disk(move || memory.forget(&name)).await;
                }
            }
        }
        for (id, hook) in wanted {
            if !self.hooks.contains_key(&id) {
                self.start(self.configured_one(hook, None));
            }
        }
    }

    /// Ends a hook; how far it was.
    async fn end(&mut self, id: &str) -> Option<Saved> {
        let running = self.hooks.remove(id)?;
        let (ended, end) = oneshot::channel();
        let _ = running.asks.send(Ask::End(ended)).await;
        end.await.ok()
    }

    // Whoever has asked may not wait any more.
    async fn carry_out(&mut self, order: Order) {
        match order {
            Order::Add(definition, reply) => _ = reply.send(self.add(definition).await),
            Order::Remove(id, reply) => _ = reply.send(self.remove(&id).await),
            Order::List(reply) => _ = reply.send(self.list().await),
            Order::Test(id, reply) => match self.hooks.get(&id) {
                Some(running) => _ = running.asks.send(Ask::Test(reply)).await,
                None => _ = reply.send(Err(Refusal::Unknown)),
            },
            Order::Subscribe(settings, reply) => self.verify(settings, reply),
            Order::Verified(settings, reply) => _ = reply.send(self.set(settings).await),
            Order::Redeliver(id, after, reply) => _ = reply.send(self.redeliver(id, after).await),
        }
    }

    async fn add(&mut self, hook: Definition) -> Result<String, Refusal> {
        let id = hook.id();
        match self.hooks.get(&id) {
            Some(there) if there.definition == hook => return Ok(id),
            Some(_) => return Err(Refusal::Exists),
            None if is_denied(&hook.url, &self.allowed) => return Err(Refusal::Denied),
            None => {}
        }
        self.add_at(hook, None).await
    }

    /// A new one, which goes on from what is remembered of it.
    async fn add_at(&mut self, hook: Definition, saved: Option<Saved>) -> Result<String, Refusal> {
        let id = hook.id();
        if self.hooks.len() >= WEBHOOKS_MAX {
            return Err(Refusal::TooMany(WEBHOOKS_MAX));
        }
        let saved = saved.unwrap_or_else(|| Saved::after(self.shared.log.newest()));
        let remembered = Remembered { definition: Some(hook.clone()), saved: saved.clone() };
        let (memory, name) = (self.shared.memory.clone(), id.clone());
        on_disk(move || memory.write(&name, &remembered)).await?;
        self.start(Found { hook, is_added: true, allowed: self.allowed.clone(), saved });
        Ok(id)
    }

    async fn remove(&mut self, id: &str) -> Result<bool, Refusal> {
        let Some(running) = self.hooks.get(id) else { return Ok(false) };
        if !running.is_added {
            return Err(Refusal::Configured);
        }
        // It must have ended before its file goes, which it would write again.
        self.end(id).await;
        let (memory, name) = (self.shared.memory.clone(), id.to_owned());
        on_disk(move || memory.forget(&name)).await?;
        Ok(true)
    }

    /// Asks the hook of new settings, beside what goes on; where it verifies they are carried out later.
    fn verify(&mut self, settings: Settings, reply: oneshot::Sender<Result<Settings, Unverified>>) {
        let (client, orders) = (self.shared.client.clone(), self.orders.clone());
        let words = SpRecord::new(self.shared.node.to_string());
        let allowed = self.allowed.clone();
        let is_free = self.verifying.len() < VERIFYING_MAX;
        let verified = async move {
            settings.check()?;
            if !is_free {
                return Err(Unverified::Refused(Refusal::TooMany(VERIFYING_MAX)));
            }
            if !settings.subscribe.is_empty() {
                let target = Target::new(&settings.hook, allowed);
                let target = target.map_err(|error| Unverified::Wrong(error.to_string()))?;
                verify::verify(&client, &target, &words).await?;
            }
            Ok(settings)
        };
        self.verifying.spawn(async move {
            // Whoever has asked may not wait any more, and a manager that is gone has no hooks.
            match verified.await {
                Ok(settings) => _ = orders.send(Order::Verified(settings, reply)).await,
                Err(unverified) => _ = reply.send(Err(unverified)),
            }
        });
    }

    /// The one hook that is set so takes the place of the one before; where it is the same it goes on where it was.
    async fn set(&mut self, settings: Settings) -> Result<Settings, Unverified> {
        let definition = settings.definition();
        let id = definition.id();
        let is_set =
            |running: &Running| running.is_added && running.definition.format == WebhookFormat::Sprecord;
        let before: Vec<String> =
            self.hooks.iter().filter(|(_, running)| is_set(running)).map(|(id, _)| id.clone()).collect();
        let is_on = !settings.subscribe.is_empty();
        if is_on && self.hooks.get(&id).is_some_and(|running| !running.is_added) {
            return Err(Unverified::Wrong("hook: is one of the configuration".to_owned()));
        }
        let mut saved = None;
        for old in before {
            saved = self.remembered(&old).filter(|_| old == id).map(|old| old.saved).or(saved);
            self.remove(&old).await.map_err(Unverified::Refused)?;
        }
        if !is_on {
            return Ok(Settings::default());
        }
        self.add_at(definition.clone(), saved).await.map_err(Unverified::Refused)?;
        Ok(Settings { hook: definition.url, subscribe: definition.types.unwrap_or_default() })
    }

    async fn list(&self) -> Vec<WebhookInfo> {
        let mut list = Vec::new();
        for running in self.hooks.values() {
            let (reply, answer) = oneshot::channel();
            let _ = running.asks.send(Ask::Status(reply)).await;
            list.extend(answer.await);
        }
        list
    }

    async fn redeliver(&self, id: Option<String>, after: u64) -> Result<u64, Refusal> {
        let chosen: Vec<&Running> = match &id {
            Some(id) => vec![self.hooks.get(id).ok_or(Refusal::Unknown)?],
            None => self.hooks.values().collect(),
        };
        for running in &chosen {
            let (done, answer) = oneshot::channel();
            let _ = running.asks.send(Ask::Redeliver { after, done }).await;
            let _ = answer.await;
        }
        Ok(chosen.len() as u64)
    }
}

/// Does something that may wait for the disk.
async fn on_disk(work: impl FnOnce() -> io::Result<()> + Send + 'static) -> Result<(), Refusal> {
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => {
            tracing::error!(%error, "what web hooks there are cannot be remembered");
            Err(Refusal::Disk)
        }
        Err(_) => Err(Refusal::Busy),
    }
}
