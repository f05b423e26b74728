//! The load generator: what the server costs and how well it keeps time, with everything on this machine's loopback.
//!
//! ```text
//!   bench ─ starts ─▶ offhook (release) ◀─ RPC ─ the application, in here: answers, plays
//!     ├─ SIPp ─────────▶  `calls`: set-up and end, at a rate, in or out
//!     └─ Switchboard ──▶  `media`: own callers (messages by rsip), one RTP socket each (packets by rtp-rs)
//! ```
//!
//! Cost is CPU time of the server process from the operating system over a steady window, per call and second; beside
//! it stands the floor: the same packets sent from bare sockets by one thread, measured in the same run. Absolute
//! figures differ between machines, the ratio holds. Every run is bounded in calls and in time.
#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "a load generator owns sockets, threads and the clock"
)]

mod caller;
mod calls;
mod ear;
mod files;
mod floor;
mod ivr;
mod latency;
mod leg;
mod media;
mod parts;
mod process;
mod prompts;
mod released;
mod rooms;
mod rpc;
mod scanners;
mod table;
mod voices;

use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};
use rustix::thread::{sched_getaffinity, sched_setaffinity};

use crate::calls::Plan;

/// The most calls of a run: what the loopback of a small machine carries, and far below its ports.
const MAX_CALLS: i64 = 4000;
/// The longest window in seconds.
const MAX_SECONDS: i64 = 120;

#[derive(Parser)]
#[command(name = "bench", about = "Load for offhook, on loopback, with the figures of the design page")]
struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Calls set up and ended at a rate, by SIPp
    Calls {
        /// Calls per second
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        rate: u32,
        /// Calls in all
        #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=200_000))]
        count: u32,
        /// Who calls
        #[arg(long, value_enum, default_value_t = Direction::In)]
        direction: Direction,
        /// How long each call lasts
        #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u32).range(0..=60_000))]
        talk_ms: u32,
        /// The server on one core, what calls it on the others
        #[arg(long)]
        one_core: bool,
    },
    /// The highest rate of calls without media that one core carries without a message sent again, going up step by step
    Ceiling {
        /// How long each rate is tried
        #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=30))]
        seconds: u32,
        /// The first rate, in calls per second
        #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        from: u32,
        /// The last rate
        #[arg(long, default_value_t = 5000, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        to: u32,
        /// How much each rate is above the one before
        #[arg(long, default_value_t = 250, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        step: u32,
    },
    /// What scanners and forgers cost the user agent, without sockets
    Scanners {
        /// Messages of each kind
        #[arg(long, default_value_t = 500_000, value_parser = clap::value_parser!(u32).range(1_000..=10_000_000))]
        count: u32,
    },
    /// What members of rooms cost, without calls
    Rooms,
    /// How soon prompts of each format are heard that the server has not seen before
    Prompts,
    /// How soon the application hears that callers have hung up
    Released {
        /// Calls at the same time
        #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u16).range(2..=MAX_CALLS))]
        calls: u16,
        /// How many of them end in a second, and others come for them
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1_000))]
        rate: u32,
        /// For how many seconds
        #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=MAX_SECONDS))]
        seconds: u32,
    },
    /// How soon the application hears of what happens, at a rate of events
    Events {
        /// Events in a second
        #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(20..=10_000))]
        rate: u32,
        /// For how many seconds
        #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=MAX_SECONDS))]
        seconds: u32,
        /// Beside so many readers that stall
        #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u16).range(0..=500))]
        stalled: u16,
        /// And so many web hooks that hang
        #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u16).range(0..=32))]
        hooks: u16,
    },
    /// What requests and events cost, and how soon a server that is started answers a call
    Rpc,
    /// Instructions of the parts of the media engine, by valgrind
    Parts,
    /// One part for so many frames: what valgrind is given
    #[command(hide = true)]
    Part {
        /// Which
        name: String,
        /// How many frames
        frames: u32,
    },
    /// The table of the design page: what calls that stand cost beside the floor, how evenly and how soon packets come, memory
    Media {
        /// Of this kind only
        #[arg(long, value_parser = media::names())]
        only: Option<String>,
        /// Calls at the same time
        #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u16).range(2..=MAX_CALLS))]
        calls: u16,
        /// The window in seconds
        #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=MAX_SECONDS))]
        seconds: u32,
        /// How the server finds packets
        #[arg(long, default_value = "readiness", value_parser = ["readiness", "sweep"])]
        io: String,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum Direction {
    In,
    Out,
}

fn main() -> ExitCode {
    let what = Arguments::parse().what;
    if matches!(what, What::Calls { one_core: true, .. } | What::Ceiling { .. }) {
        leave_core(calls::SERVER_CORE);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    if runtime.expect("a runtime").block_on(run(what)) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Keeps this process, and all that it starts from now on, off a core where there are others.
fn leave_core(core: usize) {
    let mut cores = sched_getaffinity(None).expect("the cores of this process");
    if cores.count() > 1 {
        cores.unset(core);
        sched_setaffinity(None, &cores).expect("cores of this process");
    }
}

async fn run(what: What) -> bool {
    match what {
        What::Calls { rate, count, direction, talk_ms, one_core } => {
            let plan = Plan { rate, count, talk_ms, one_core };
            match direction {
                Direction::In => calls::inbound(plan).await.good,
                Direction::Out => calls::outbound(plan).await.good,
            }
        }
        What::Ceiling { seconds, from, to, step } => calls::ceiling(seconds, from, to, step).await,
        What::Scanners { count } => scanners::run(count),
        What::Rooms => rooms::run(),
        What::Prompts => prompts::run().await,
        What::Released { calls, rate, seconds } => {
            released::run(released::Plan { calls, rate, seconds }).await
        }
        What::Events { rate, seconds, stalled, hooks } => {
            latency::run(latency::Plan { rate, seconds, stalled, hooks }).await
        }
        What::Rpc => rpc::run().await,
        What::Parts => parts::run(),
        What::Part { name, frames } => parts::run_one(&name, frames),
        What::Media { only, calls, seconds, io } => {
            media::run(only.as_deref(), media::Plan { calls, seconds, io: &io }).await
        }
    }
}
