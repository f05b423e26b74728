//! The way from RPC to the control loop: a bounded queue of questions, each with the place for its answer.

use offhook_call::command::Command;
use offhook_call::error::Error;
use offhook_call::id::CallId;
use offhook_call::{Reply, Snapshot, conference};
use tokio::sync::{mpsc, oneshot};

use crate::explain::Explanation;
use crate::metrics::Metrics;

/// What RPC asks of the control loop.
#[derive(Debug)]
pub enum Ask {
    /// A request of an application. A reply that nobody waits for any more is thrown away.
    Request {
        /// What is asked.
        command: Command,
        /// Where the answer goes.
        reply: oneshot::Sender<Result<Reply, Error>>,
    },
    /// So many subscriptions hear of calls now: without any, nobody is there to act on an inbound call.
    Applications(usize),
    /// What lives.
    Living(oneshot::Sender<Living>),
    /// What a call has been through; none where it is not known, or not any more.
    Explain(CallId, oneshot::Sender<Option<Box<Explanation>>>),
    /// How things are.
    Metrics(oneshot::Sender<Metrics>),
}

/// The calls and conferences that live, at one moment of the control loop.
#[derive(Clone, Debug, Default)]
pub struct Living {
    /// The number of the last event before.
    pub seq: u64,
    /// The calls.
    pub calls: Vec<Snapshot>,
    /// The conferences, and their members.
    pub conferences: Vec<(conference::Snapshot, Vec<conference::Part>)>,
}

/// The asking end of the queue.
#[derive(Clone, Debug)]
pub struct ControlHandle {
    tx: mpsc::Sender<Ask>,
}

impl ControlHandle {
    /// A handle on the queue whose other end the control loop has.
    pub fn new(tx: mpsc::Sender<Ask>) -> Self {
        Self { tx }
    }

    /// Asks; what is returned waits for the answer. The question is in the queue before this returns, which is what keeps
    /// requests in their order (see `request` in `rpc`). A full queue is an answer too (`limit_reached`): requests never pile
    /// up.
    pub fn request(&self, command: Command) -> impl Future<Output = Result<Reply, Error>> + Send + use<> {
        let (reply, answer) = oneshot::channel();
        let queued = match self.tx.try_send(Ask::Request { command, reply }) {
            Ok(()) => Ok(answer),
            Err(mpsc::error::TrySendError::Full(_)) => {
                Err(Error::LimitReached { limit: "queue", value: self.tx.max_capacity() as u64 })
            }
            Err(mpsc::error::TrySendError::Closed(_)) => Err(Error::ShuttingDown),
        };
        async { queued?.await.unwrap_or(Err(Error::ShuttingDown)) }
    }

    /// What lives now.
    ///
    /// # Errors
    /// The queue is full, or the control loop is gone.
    pub async fn living(&self) -> Result<Living, Error> {
        self.ask(Ask::Living).await
    }

    /// What a call has been through; none where it is not known, or not any more.
    ///
    /// # Errors
    /// The queue is full, or the control loop is gone.
    pub async fn explain(&self, call: CallId) -> Result<Option<Box<Explanation>>, Error> {
        self.ask(|reply| Ask::Explain(call, reply)).await
    }

    async fn ask<T>(&self, ask: impl FnOnce(oneshot::Sender<T>) -> Ask) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        match self.tx.try_send(ask(reply)) {
            Ok(()) => answer.await.map_err(|_| Error::ShuttingDown),
            Err(mpsc::error::TrySendError::Full(_)) => {
                Err(Error::LimitReached { limit: "queue", value: self.tx.max_capacity() as u64 })
            }
            Err(mpsc::error::TrySendError::Closed(_)) => Err(Error::ShuttingDown),
        }
    }

    /// How things are; none where the control loop has no time for that, or is gone.
    pub async fn metrics(&self) -> Option<Metrics> {
        let (reply, answer) = oneshot::channel();
        self.tx.try_send(Ask::Metrics(reply)).ok()?;
        answer.await.ok()
    }

    /// Tells how many subscriptions there are. Waits where the queue is full: the last number told must arrive.
    pub async fn set_applications(&self, count: usize) {
        // A control loop that is gone has no use for it.
        let _ = self.tx.send(Ask::Applications(count)).await;
    }
}
