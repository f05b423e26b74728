//! A seeded world: calls, far ends, applications, a media engine and a disk that do at any moment whatever they may,
//! late, never, and in the same millisecond; and after each step the promises that no one may break ([`Checks`]).
//!
//! A failure prints its seed; `OFFHOOK_SEED=<n>` replays that world alone.

mod beside;
mod conferences;
mod ends;
mod engine;
mod far_ends;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use offhook_call::command::{Command, Request};
use offhook_call::event::UnixMs;
use offhook_call::gateway::Gateway;
use offhook_call::id::RequestId;
use offhook_call::{Calls, Config, DiskJob, Now, Output, Port};
use offhook_media::event::{ActionId, LegId, RecordEnd, RoomId};
use offhook_sip::event::{self as sip, SessionId};
use offhook_worlds::applications::Applications;
use offhook_worlds::checks::Checks;
use offhook_worlds::disk::{Deed, Disk, Later};
use offhook_worlds::soon;

use crate::rig::{EPOCH, config, epoch, gateway};
use engine::Engine;
use far_ends::FarEnds;

/// Worlds of a test run, and calls in each: some fifteen thousand calls in less than a second.
const WORLDS: u64 = 400;
const CALLS: usize = 50;
/// So few that they run out now and then.
const PORTS: u16 = 12;
/// By then every call must have ended by itself: the longest talk, ringing and patience are all shorter.
const ALL_OVER: u64 = 1_200_000;

/// What is going to happen.
#[derive(Clone, Debug)]
enum Happening {
    /// A caller calls, or an application places a call.
    NewCall,
    /// An application does something.
    Application,
    /// A port is opened and leased.
    Lease(Port),
    /// The INVITE is on its way, with the Call-ID it has.
    Sent(SessionId),
    /// A far end rings, or says something else before it answers.
    Provisional(SessionId),
    /// A far end answers.
    Answered(SessionId),
    /// A far end acknowledges our answer.
    Ack(SessionId),
    /// A far end never acknowledged our answer.
    NoAck(SessionId),
    /// A far end sends a digit by INFO.
    Info(SessionId),
    /// A far end wants to change the session.
    Offer(SessionId),
    /// A far end acknowledges a change for which we made the offer.
    AckChange(SessionId),
    /// A far end sends a message.
    Message(SessionId),
    /// A far end answers a message or a digit.
    Reply(SessionId, sip::RequestId),
    /// A far end says how the call goes that it was asked for.
    Transfer(SessionId),
    /// A far end asks to be transferred.
    Refer(SessionId),
    /// A far end refuses, gives up, hangs up, or is lost, as befits the moment.
    HangUp(SessionId),
    /// What we ended has come to rest.
    Rest(SessionId),
    /// A key is pressed.
    Detected(LegId),
    Digit(LegId),
    /// Nothing comes any more.
    Silent(LegId),
    /// Something comes again.
    Heard(LegId),
    /// An action ends.
    ActionEnds(LegId, ActionId),
    /// A leg is gone.
    LegGone(LegId),
    /// A member of a room begins or ends to talk.
    Talks(RoomId, LegId),
    /// What a room plays or records ends.
    RoomActionEnds(ActionId, RecordEnd),
    /// A room is gone.
    RoomGone(RoomId),
    /// The disk does something.
    Disk(Deed),
}

struct World {
    rng: fastrand::Rng,
    calls: Calls,
    start: Instant,
    /// Milliseconds since the start.
    at: u64,
    agenda: BTreeMap<(u64, u64), Happening>,
    happenings: u64,
    requests: u64,
    applications: Applications,
    far_ends: FarEnds,
    engine: Engine,
    disk: Disk,
    checks: Checks,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let idle_timeout = if rng.bool() { Duration::from_secs(20) } else { Duration::ZERO };
        let config = Config { incoming_timeout: Duration::from_secs(10), idle_timeout, ..config() };
        let mut calls = Calls::new(config, 1 + rng.u64(..1000));
        calls.set_applications(1);
        // So few calls that they are refused now and then; callers come by `peer`, and calls go to the other two.
        let limited = |name, numbers: &[u8]| Gateway { max_calls: 4, ..gateway(name, numbers) };
        calls.set_gateways(vec![limited("peer", &[7]), limited("first", &[9]), limited("second", &[10])]);
        let mut world = Self {
            rng,
            calls,
            start: epoch(),
            at: 0,
            agenda: BTreeMap::new(),
            happenings: 0,
            requests: 0,
            applications: Applications {
                callees: vec!["sip:1@192.0.2.9".to_owned(), "sip:1@second".to_owned()],
                to_come: CALLS,
            },
            far_ends: FarEnds::default(),
            engine: Engine::default(),
            disk: Disk::default(),
            checks: Checks::default(),
        };
        for number in 0..PORTS {
            world.soon(0, Happening::Lease(Port(20000 + 2 * number)));
        }
        world.soon(0, Happening::NewCall);
        world.soon(0, Happening::Application);
        world
    }

    fn now(&self) -> Now {
        let wall = EPOCH + i64::try_from(self.at).expect("an hour");
        Now { mono: self.start + Duration::from_millis(self.at), wall: UnixMs(wall) }
    }

    /// Something happens within `within` milliseconds; often in this very one.
    fn soon(&mut self, within: u64, happening: Happening) {
        let delay = soon(&mut self.rng, within);
        self.later(delay, happening);
    }

    fn later(&mut self, delay: u64, happening: Happening) {
        self.happenings += 1;
        self.agenda.insert((self.at + delay, self.happenings), happening);
    }

    /// So many times in a hundred.
    fn chance(&mut self, percent: u8) -> bool {
        offhook_worlds::chance(&mut self.rng, percent)
    }

    fn request(&mut self, command: Command) {
        self.requests += 1;
        let id = RequestId(self.requests);
        self.checks.asked(id, &command);
        self.calls.request(self.now(), Request { id, command });
    }

    fn new_call(&mut self) {
        let Some(left) = self.applications.to_come.checked_sub(1) else { return };
        self.applications.to_come = left;
        self.soon(4_000, Happening::NewCall);
        if self.rng.bool() {
            return self.caller();
        }
        let wall = self.now().wall;
        let command = self.applications.construct(&mut self.rng, &self.checks, wall);
        self.request(command);
    }

    fn application(&mut self) {
        if self.applications.to_come == 0 && self.calls.live() == 0 {
            return;
        }
        self.soon(200, Happening::Application);
        let wall = self.now().wall;
        for command in self.applications.next(&mut self.rng, &self.checks, wall) {
            self.request(command);
        }
    }

    fn disk(&mut self, deed: Deed) {
        let (event, later) = self.disk.act(&mut self.rng, deed);
        self.disk_will(later);
        if let Some(event) = event {
            self.calls.disk(self.now(), event);
        }
    }

    fn disk_will(&mut self, later: Option<Later>) {
        if let Some((delay, deed)) = later {
            self.later(delay, Happening::Disk(deed));
        }
    }

    /// One thing happens: the next on the agenda, or a deadline of the calls if that comes first.
    fn step(&mut self) -> bool {
        let due = self.calls.poll_timeout().map(|at| {
            let since = at.saturating_duration_since(self.start);
            u64::try_from(since.as_nanos().div_ceil(1_000_000)).expect("an hour")
        });
        let next = self.agenda.first_key_value().map(|(&(at, _), _)| at);
        match (due, next) {
            (None, None) => return false,
            (Some(due), next) if next.is_none_or(|next| due <= next) => {
                self.at = self.at.max(due);
                let now = self.now();
                self.calls.handle_timeout(now);
            }
            _ => {
                let ((at, _), happening) = self.agenda.pop_first().expect("just seen");
                self.at = at;
                self.happen(happening);
            }
        }
        self.settle();
        true
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::NewCall => self.new_call(),
            Happening::Application => self.application(),
            Happening::Lease(port) => self.calls.lease(port),
            Happening::Sent(_)
            | Happening::Provisional(_)
            | Happening::Answered(_)
            | Happening::Ack(_)
            | Happening::NoAck(_)
            | Happening::Info(_)
            | Happening::Offer(_)
            | Happening::AckChange(_)
            | Happening::HangUp(_)
            | Happening::Rest(_) => self.far_end(happening),
            Happening::Digit(_)
            | Happening::Detected(_)
            | Happening::Silent(_)
            | Happening::Heard(_)
            | Happening::ActionEnds(..)
            | Happening::LegGone(_) => self.engine(happening),
            Happening::Talks(..) | Happening::RoomActionEnds(..) | Happening::RoomGone(_) => {
                self.room(happening)
            }
            Happening::Message(_) | Happening::Reply(..) | Happening::Transfer(_) | Happening::Refer(_) => {
                self.beside(happening)
            }
            Happening::Disk(deed) => self.disk(deed),
        }
    }

    /// Drains what the calls want done, and has it done.
    fn settle(&mut self) {
        while let Some(output) = self.calls.poll_output() {
            match output {
                Output::Sip(command) => self.tell_far_end(command),
                Output::OpenLeg { port, leg, config } => {
                    self.checks.opened(port, leg);
                    self.open_leg(leg, config.media.codec);
                }
                Output::Media(command) => self.tell_engine(command),
                Output::Disk { job, request } => {
                    if let DiskJob::AbandonPrompts { .. } = request {
                        self.checks.saw("let be".to_owned());
                    }
                    let answer = self.disk.ask(&mut self.rng, job, request);
                    self.disk_will(answer);
                }
                Output::Reply { request, result } => self.checks.replied(request, result),
                Output::Event(event) => self.checks.told(self.now().mono, &event),
                Output::ConferenceEvent(event) => self.checks.conference_told(&event),
                Output::NodeEvent(event) => panic!("nothing happens to the node: {event:?}"),
                Output::TurnedAway { .. } => {}
                Output::PortReleased(port) => {
                    self.checks.freed(port);
                    self.soon(100, Happening::Lease(port));
                }
            }
        }
        self.far_ends.step();
        let now = self.now().mono;
        self.checks.step(&self.calls, now);
    }

    fn run(&mut self, hang_up_at: Option<u64>) {
        let mut hang_up_at = hang_up_at;
        while self.step() {
            assert!(self.at < ALL_OVER, "a call has wedged: {:?}", self.checks.alive());
            if hang_up_at.is_some_and(|at| at <= self.at) {
                hang_up_at = None;
                self.applications.to_come = 0;
                self.calls.drain();
                let now = self.now();
                self.calls.hang_up_all(now);
                self.settle();
            }
        }
        self.checks.end(&self.calls, usize::from(PORTS));
        self.disk.end();
    }
}

/// Says which world it was that failed.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("to replay: OFFHOOK_SEED={}", self.0);
        }
    }
}

#[test]
fn whatever_happens_every_promise_is_kept() {
    let seeds = match std::env::var("OFFHOOK_SEED") {
        Ok(seed) => seed.parse().map(|seed| seed..seed + 1).expect("a number"),
        Err(_) => 0..WORLDS,
    };
    let mut told = BTreeMap::new();
    for seed in seeds.clone() {
        let replay = Seed(seed);
        let mut world = World::new(seed);
        let hang_up_at = (seed % 4 == 0).then(|| 5_000 + seed * 50);
        world.run(hang_up_at);
        world.checks.count(&mut told);
        drop(replay);
    }
    if seeds.end - seeds.start == WORLDS {
        ends::saw_everything(&told);
    }
}
