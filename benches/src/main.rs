//! The load generator: what the server costs and how well it keeps time, with everything on this machine's loopback.
//!
//! ```text
//!   bench ─ starts ─▶ offhook (release) ◀─ RPC ─ the application, in here: answers, plays
//!     ├─ SIPp ─────────▶  `calls`: set-up and end, at a rate, in or out
//!     └─ Switchboard ──▶  `prompts`, `idle`: own callers (messages by rsip), one RTP socket each (packets by rtp-rs)
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
mod floor;
mod ivr;
mod process;
mod scanners;
mod steady;

use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};

use crate::calls::Plan;

/// The most calls of a run: what the loopback of a small machine carries, and far below its ports.
const MAX_CALLS: i64 = 2000;
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
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=500))]
        rate: u32,
        /// Calls in all
        #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=20_000))]
        count: u32,
        /// Who calls
        #[arg(long, value_enum, default_value_t = Direction::In)]
        direction: Direction,
        /// How long each call lasts
        #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u32).range(0..=60_000))]
        talk_ms: u32,
    },
    /// The highest rate of calls without media that one core carries without a message sent again
    Ceiling {
        /// How long each rate is tried
        #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=30))]
        seconds: u32,
        /// The highest rate to try, in calls per second
        #[arg(long, default_value_t = 800, value_parser = clap::value_parser!(u32).range(1..=2000))]
        highest: u32,
    },
    /// What scanners and forgers cost the user agent, without sockets
    Scanners {
        /// Messages of each kind
        #[arg(long, default_value_t = 500_000, value_parser = clap::value_parser!(u32).range(1_000..=10_000_000))]
        count: u32,
    },
    /// Calls that all hear a prompt: cost, loss, and how evenly packets come
    Prompts(Steady),
    /// Calls that are answered and left alone: cost and memory
    Idle(Steady),
}

/// The size of a run with a steady window.
#[derive(clap::Args, Clone, Copy)]
struct Steady {
    /// Calls at the same time
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u16).range(1..=MAX_CALLS))]
    calls: u16,
    /// The window in seconds
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=MAX_SECONDS))]
    seconds: u32,
}

#[derive(Clone, Copy, ValueEnum)]
enum Direction {
    In,
    Out,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    let good = match Arguments::parse().what {
        What::Calls { rate, count, direction, talk_ms } => {
            let plan = Plan { rate, count, talk_ms, one_core: false };
            match direction {
                Direction::In => calls::inbound(plan).await.good,
                Direction::Out => calls::outbound(plan).await.good,
            }
        }
        What::Ceiling { seconds, highest } => calls::ceiling(seconds, highest).await,
        What::Scanners { count } => scanners::run(count),
        What::Prompts(size) => steady::run(steady::Load::Prompts, size.calls, size.seconds).await,
        What::Idle(size) => steady::run(steady::Load::Idle, size.calls, size.seconds).await,
    };
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
