//! The prompt threads: they open and decode prompt files, off the control and media threads.
//!
//! ```text
//!   control ──Job──▶ bounded inbox ─▶ thread 0..N   a question: headers are read, and answered
//!             └ full: refused                       then half a second of one prompt, of those that are being decoded
//! ```
//! A thread takes turns between questions and prompts, and between prompts by half a second of each: what was asked for last
//! is heard at once, however long the files are that others play, and none that is being heard is caught up with. What
//! waits is bounded, and so are the files that are open.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::time::Duration;

use offhook_call::error::FileFault;
use offhook_call::{DiskEvent, JobId, PromptFault, PromptSource, Sound, Speech};
use offhook_media::event::Codec;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::AbortHandle;

use super::{Cold, Prompts};
use crate::call_log::Names;
use crate::input::Input;
use crate::speech::Speaker;

/// Threads at most: they compute, and the media threads have the same cores.
const MAX_THREADS: usize = 4;
/// Questions that may wait for one thread. Each takes it a millisecond where the disk is quick; on one that is not, the
/// application hears of it instead of waiting ever longer.
const INBOX: usize = 256;
/// Prompts that one thread decodes at a time, before it takes another question, which may bring 30 more: so many files are
/// open, and a thread that decodes 50 times faster than one listens is ahead of all of them.
const MAX_LOADS: usize = 32;
/// How much of a prompt is decoded in a turn. The first part that can be heard is 200 ms (`file/prompt.rs` of the media).
const TURN: Duration = Duration::from_millis(500);

/// What a prompt thread is asked.
#[derive(Debug)]
struct Job {
    id: JobId,
    /// Whose question it is.
    of: Names,
    sources: Vec<PromptSource>,
    codec: Codec,
}

/// The way to the prompt threads, for one that must not wait.
#[derive(Debug)]
pub struct Loaders {
    threads: Threads,
    speaking: Option<Speaking>,
}

/// The prompt threads.
#[derive(Clone, Debug)]
struct Threads {
    inboxes: Vec<SyncSender<Job>>,
    /// Which is asked next.
    next: usize,
}

/// What a question with texts in it takes first.
#[derive(Debug)]
struct Speaking {
    speaker: Arc<Speaker>,
    runtime: Handle,
    /// One for each question that may wait.
    places: Arc<Semaphore>,
    control: mpsc::Sender<Input>,
    /// The questions whose texts are being spoken.
    tasks: HashMap<JobId, AbortHandle>,
}

/// Starts the threads; they end when the loaders are gone.
///
/// Texts are spoken by tasks of the runtime that this is called in.
pub fn start(prompts: Prompts, control: &mpsc::Sender<Input>) -> io::Result<Loaders> {
    let speaking = prompts.speaker.as_ref().map(|speaker| Speaking {
        speaker: Arc::clone(speaker),
        runtime: Handle::current(),
        places: Arc::new(Semaphore::new(INBOX)),
        control: control.clone(),
        tasks: HashMap::new(),
    });
    let prompts = Arc::new(prompts);
    let count = std::thread::available_parallelism().map_or(1, usize::from).min(MAX_THREADS);
    let mut inboxes = Vec::with_capacity(count);
    for index in 0..count {
        let (sender, inbox) = sync_channel(INBOX);
        let loader =
            Loader { prompts: Arc::clone(&prompts), control: control.clone(), loads: VecDeque::new() };
        std::thread::Builder::new().name(format!("prompts-{index}")).spawn(move || loader.run(&inbox))?;
        inboxes.push(sender);
    }
    Ok(Loaders { threads: Threads { inboxes, next: 0 }, speaking })
}

impl Loaders {
    /// Asks for prompts; the answer is a [`DiskEvent::Prompts`].
    ///
    /// # Errors
    /// [`FileFault::Busy`] where as many questions wait as may.
    pub(crate) fn ask(
        &mut self,
        (id, of): (JobId, Names),
        sources: Vec<PromptSource>,
        codec: Codec,
    ) -> Result<(), PromptFault> {
        let job = Job { id, of, sources, codec };
        match &mut self.speaking {
            Some(speaking) if job.texts().next().is_some() => speaking.ask(self.threads.clone(), job),
            _ => self.threads.pass(job),
        }
    }

    /// Nobody waits for prompts any more: texts of theirs that are not spoken yet are not spoken any further.
    pub fn abandon(&mut self, id: JobId) {
        let task = self.speaking.as_mut().and_then(|speaking| speaking.tasks.remove(&id));
        task.into_iter().for_each(|task| task.abort());
    }
}

impl Threads {
    /// To a thread that has room.
    fn pass(&mut self, mut job: Job) -> Result<(), PromptFault> {
        for _ in 0..self.inboxes.len() {
            self.next = (self.next + 1) % self.inboxes.len();
            job = match self.inboxes[self.next].try_send(job) {
                Ok(()) => return Ok(()),
                Err(TrySendError::Full(job) | TrySendError::Disconnected(job)) => job,
            };
        }
        let fault = FileFault::Busy { limit: (INBOX * self.inboxes.len()) as u64 };
        Err(PromptFault::of_first(&job.sources, fault))
    }
}

impl Job {
    fn texts(&self) -> impl Iterator<Item = (&PromptSource, &Speech)> {
        self.sources.iter().filter_map(|source| match &source.sound {
            Sound::Speech(speech) => Some((source, speech)),
            Sound::File(_) | Sound::RingBack(_) => None,
        })
    }
}

impl Speaking {
    /// Has the texts spoken, and then passes the question on.
    fn ask(&mut self, mut threads: Threads, job: Job) -> Result<(), PromptFault> {
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            return Err(PromptFault::of_first(&job.sources, FileFault::Busy { limit: INBOX as u64 }));
        };
        // No more than there are places, and those of a moment ago.
        self.tasks.retain(|_, task| !task.is_finished());
        let (speaker, control, id) = (Arc::clone(&self.speaker), self.control.clone(), job.id);
        let task = self.runtime.spawn(async move {
            let _place = place;
            let said = async {
                for (source, speech) in job.texts() {
                    let said = speaker.say(&job.of, speech).await;
                    said.map_err(|fault| PromptFault { fault, source: source.clone() })?;
                }
                Ok(())
            };
            if let Err(fault) = said.await.and_then(|()| threads.pass(job)) {
                let event = DiskEvent::Prompts { job: id, result: Err(fault) };
                let _ = control.send(Input::Disk(event)).await;
            }
        });
        self.tasks.insert(id, task.abort_handle());
        Ok(())
    }
}

/// One thread.
struct Loader {
    prompts: Arc<Prompts>,
    control: mpsc::Sender<Input>,
    /// Prompts that are being decoded, the next one first.
    loads: VecDeque<Cold>,
}

impl Loader {
    fn run(mut self, inbox: &Receiver<Job>) {
        loop {
            let job = match self.loads.len() {
                0 => inbox.recv().map_err(|_| TryRecvError::Disconnected),
                MAX_LOADS.. => Err(TryRecvError::Empty),
                _ => inbox.try_recv(),
            };
            match job {
                Ok(job) => self.answer(job),
                Err(TryRecvError::Empty) => {}
                Err(TryRecvError::Disconnected) => return,
            }
            self.turn();
        }
    }

    fn answer(&mut self, Job { id, of, sources, codec }: Job) {
        let (result, cold) = guarded(|| self.prompts.find(&of, &sources, codec))
            .unwrap_or_else(|| (Err(PromptFault::of_first(&sources, FileFault::Unreadable)), Vec::new()));
        // This thread may wait for the control loop; nothing that must not wait waits for this thread.
        let _ = self.control.blocking_send(Input::Disk(DiskEvent::Prompts { job: id, result }));
        for cold in cold.into_iter().rev() {
            self.loads.push_front(cold);
        }
    }

    /// Decodes some of the prompt whose turn it is.
    fn turn(&mut self) {
        let Some(mut cold) = self.loads.pop_front() else { return };
        match guarded(|| cold.decode(TURN)) {
            Some(true) => self.loads.push_back(cold),
            Some(false) => self.prompts.keep(cold),
            None => self.prompts.keep(cold.broken()),
        }
    }
}

/// Decoders are the work of others and their files come from anywhere: a defect in one ends the prompt that shows it, and
/// not the thread that all others wait for. It has been logged with its place by then.
fn guarded<T>(work: impl FnOnce() -> T) -> Option<T> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).ok()
}
