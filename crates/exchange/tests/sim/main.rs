//! The simulator: seeded worlds in virtual time, in which the real SIP user agent, the real calls and the real media engine,
//! put together as in the server, meet far ends and applications that do anything at any moment, over a network that
//! loses, doubles, delays and reorders, with a disk that is slow, full or silent. Some calls go by TCP, whose connections hold, and
//! some worlds offer SRTP, which nobody takes; registrations, OPTIONS to gateways and connections that break are left to the tests of
//! the cores.
//!
//! ```text
//!   applications ─▶ Exchange (Endpoint ⇄ Calls) ◀── wire ──▶ peer: another Endpoint
//!        checks ◀──────┤                             └─────▶ rude: whatever it likes
//!          disk ◀──────┴──▶ media Engine ◀── wire ── voices
//! ```
//! After each step the promises are checked ([`offhook_worlds::checks`], [`leftovers`]). A failure prints its seed, and
//! `OFFHOOK_SEED=<n> cargo test --package offhook-exchange --test sim anything` replays that world alone;
//! `OFFHOOK_WORLDS=<n>` runs so many, from seed `OFFHOOK_SEED` on if that is said too.

mod dead;
mod leftovers;
mod loss;
mod media;
mod message;
mod peer;
mod released;
mod rude;
mod voice;
mod wire;
mod world;

use std::collections::BTreeMap;
use std::time::Duration;

use world::World;

/// Worlds of a test run, of fifty calls and more each: ten thousand calls.
const WORLDS: u64 = 320;

/// What they must have seen beside what every world has; and all that the rude far end can do.
const SEEN: &[&str] = &["dial unresolved", "dial cancelled", "key", "by TCP"];

/// What all worlds together have come to.
#[derive(Debug, Default)]
struct Figures {
    calls: usize,
    virtual_time: Duration,
    checks: u64,
    told: BTreeMap<String, u32>,
}

impl Figures {
    fn saw_everything(&self) {
        let scripts = rude::CALLED.iter().map(|script| format!("is called: {script:?}"));
        let callers = rude::CALLING.iter().map(|script| format!("calls us: {script:?}"));
        let seen = SEEN.iter().map(|&what| what.to_owned());
        offhook_worlds::checks::saw_everything(&self.told, seen.chain(scripts).chain(callers));
    }
}

/// CPU time of this thread: other than the clock on the wall it does not depend on what else the machine does
/// (proc_pid_schedstat).
fn cpu_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    let nanos: f64 = text.split(' ').next().and_then(|nanos| nanos.parse().ok()).expect("nanoseconds");
    nanos / 1e9
}

/// Says which world it was that failed.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!(
                "to replay: OFFHOOK_SEED={} cargo test --package offhook-exchange --test sim anything",
                self.0
            );
        }
    }
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|number| number.parse().expect("a number"))
}

#[test]
#[allow(clippy::disallowed_methods, reason = "how fast the worlds are is a figure of this test")]
fn anything_may_happen_and_every_promise_is_kept() {
    let (seed, worlds) = (number("OFFHOOK_SEED"), number("OFFHOOK_WORLDS"));
    let first = seed.unwrap_or(0);
    let worlds = worlds.unwrap_or(if seed.is_some() { 1 } else { WORLDS });
    let (began, cpu_before) = (std::time::Instant::now(), cpu_seconds());
    let mut figures = Figures::default();
    for seed in first..first + worlds {
        let replay = Seed(seed);
        let mut world = World::new(seed, world::anything(seed));
        world.run(seed.is_multiple_of(4).then(|| Duration::from_millis(5_000 + seed % 400 * 50)));
        figures.calls += world.checks.calls();
        figures.virtual_time += world.at;
        figures.checks += world.checks.made();
        world.checks.count(&mut figures.told);
        drop(replay);
    }
    let (wall, cpu) = (began.elapsed().as_secs_f64(), cpu_seconds() - cpu_before);
    let seconds = figures.virtual_time.as_secs_f64();
    let (hours, speed) = (seconds / 3600.0, seconds / cpu);
    println!(
        "{} calls in {worlds} worlds from seed {first}: {hours:.1} virtual hours in {cpu:.1} s of CPU time ({wall:.1} on the \
         wall), {speed:.0} × real time, {} checks",
        figures.calls, figures.checks
    );
    if worlds >= WORLDS {
        assert!(figures.calls >= 10_000, "{} calls", figures.calls);
        assert!(speed >= 500.0, "{speed:.0} × real time");
        figures.saw_everything();
    }
}
