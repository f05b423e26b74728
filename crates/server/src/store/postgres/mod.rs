//! The records of calls in PostgreSQL too, where `cdr.postgres` says so.
//!
//! ```text
//!   Ledger ─▶ calls.db ─▶ Source ─▶ Target: INSERT … ON CONFLICT DO NOTHING ─▶ Place: how far it is
//!     ▲                     ▲ bell                                               │
//!     └──── Progress: what is not copied yet does not go for being old ◀─────────┘
//! ```
//! `calls.db` stays the journal: a call is recorded there before its end is told, and from there it is copied, in order, by a thread
//! that nobody waits for. What has been copied is remembered after PostgreSQL has said that it has it. Whatever ends in between,
//! we or PostgreSQL, what was under way is copied again, and the primary key keeps it from being there twice.

mod address;
mod source;
mod target;
mod tls;

use std::convert::Infallible;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::watch;

pub(crate) use address::{is_open, parse};

use super::progress::Progress;
use crate::{clock, config};
use source::{Place, Source};
use target::{Fault, Settings, Target};

/// How long what is recorded waits for more of its kind, so that a busy node has a transaction for many calls.
const GATHER: Duration = Duration::from_millis(200);

/// How long PostgreSQL is left alone after each failure that follows another; the last of these from then on.
const RESTS: [Duration; 6] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(5),
    Duration::from_secs(10),
    Duration::from_secs(20),
    Duration::from_secs(30),
];

/// How long the end of the server waits for the records of the last calls; the next start copies what is left.
const ENDING: Duration = Duration::from_secs(2);

/// The copy, which runs.
#[derive(Debug)]
pub(crate) struct Copy {
    progress: Arc<Progress>,
    closing: watch::Sender<bool>,
    thread: JoinHandle<()>,
}

/// What is to be copied to where, before there is a database to copy from.
#[derive(Debug)]
pub(crate) struct Plan {
    settings: Settings,
    place: Place,
    progress: Arc<Progress>,
}

/// Whether PostgreSQL is there and lets us in: why not. Nothing where there is none to be.
pub(crate) async fn reach(cdr: &config::Cdr) -> Option<Result<(), String>> {
    match Settings::of(cdr) {
        Ok(settings) => Some(settings?.reach().await.map_err(|fault| fault.to_string())),
        Err(error) => Some(Err(error.to_string())),
    }
}

impl Plan {
    /// What the configuration says; nothing where it names no PostgreSQL.
    ///
    /// # Errors
    /// What it names is none, its authorities cannot be read, or how far it was is not readable.
    pub(crate) fn of(cdr: &config::Cdr, data_dir: &Path) -> io::Result<Option<Self>> {
        let Some(settings) = Settings::of(cdr)? else { return Ok(None) };
        let place = Place::of(data_dir);
        let progress = Arc::new(Progress::from(place.read()?));
        Ok(Some(Self { settings, place, progress }))
    }

    /// What the database tells, and is told by.
    pub(crate) fn progress(&self) -> Arc<Progress> {
        self.progress.clone()
    }

    /// Copies from the database of a directory, until it is stopped.
    pub(crate) fn start(self, data_dir: &Path) -> io::Result<Copy> {
        let Self { settings, place, progress } = self;
        let source = Source::of(data_dir);
        let (closing, closed) = watch::channel(false);
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(1).build()?;
        let copier = Copier { settings, source, place, target: None, progress: progress.clone(), failing: 0 };
        let run = move || {
            runtime.block_on(copier.run(closed));
            // A name service that hangs must not hold up the end.
            runtime.shutdown_background();
        };
        let thread = std::thread::Builder::new().name("cdr-postgres".to_owned()).spawn(run)?;
        Ok(Copy { progress, closing, thread })
    }
}

impl Copy {
    /// How far it is.
    pub(crate) fn progress(&self) -> Arc<Progress> {
        self.progress.clone()
    }

    /// Copies what it can in a short time. Blocks.
    pub(crate) fn stop(self) {
        let _ = self.closing.send(true);
        if self.thread.join().is_err() {
            tracing::error!("the thread that copies records to PostgreSQL broke");
        }
    }
}

struct Copier {
    settings: Settings,
    source: Source,
    place: Place,
    target: Option<Target>,
    progress: Arc<Progress>,
    /// How many attempts in a row have failed.
    failing: usize,
}

impl Copier {
    async fn run(mut self, mut closed: watch::Receiver<bool>) {
        tokio::select! {
            never = self.copy_on() => match never {},
            _ = closed.wait_for(|closed| *closed) => {}
        }
        // The records of the calls that ended with the server.
        if !matches!(tokio::time::timeout(ENDING, self.copy()).await, Ok(Ok(()))) {
            tracing::warn!(
                backlog = self.progress.status().backlog,
                "records wait for the next start to reach PostgreSQL"
            );
        }
    }

    /// Copies what there is and what comes.
    async fn copy_on(&mut self) -> Infallible {
        loop {
            match self.copy().await {
                Ok(()) => {
                    self.progress.rung().await;
                    rest(GATHER).await;
                }
                Err(fault) => {
                    self.failed(&fault);
                    rest(RESTS[self.failing.min(RESTS.len()) - 1]).await;
                }
            }
        }
    }

    /// Copies all that there is.
    async fn copy(&mut self) -> Result<(), Fault> {
        loop {
            let batch = self.source.next(&self.progress)?;
            let Some(last) = batch.last() else { return Ok(()) };
            let target = match &mut self.target {
                Some(target) => target,
                None => self.target.insert(Target::connect(&self.settings).await?),
            };
            let refused = target.insert(&batch).await?;
            self.place.write(last.seq)?;
            self.source.done(last);
            self.progress.copied(batch.len() - refused, last);
            for _ in 0..refused {
                self.progress.refused();
            }
            if std::mem::take(&mut self.failing) > 0 {
                tracing::warn!("records reach PostgreSQL again");
            }
        }
    }

    fn failed(&mut self, fault: &Fault) {
        self.target = None;
        self.failing += 1;
        self.progress.failed();
        let backlog = self.progress.status().backlog;
        if self.failing == 1 {
            tracing::error!(%fault, backlog, "records cannot be copied to PostgreSQL; it is tried again, and they stay here");
        } else {
            tracing::debug!(%fault, backlog, "records cannot be copied to PostgreSQL");
        }
    }
}

async fn rest(time: Duration) {
    tokio::time::sleep_until((clock::now().mono + time).into()).await;
}
