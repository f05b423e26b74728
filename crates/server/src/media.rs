//! The media threads: sockets and an absolute tick around `Engine`.
//!
//! ```text
//!   control ──OpenLeg, Command──▶ Router ──▶ thread 0..N: inbox · sockets · Engine ──events──▶ control
//!                                                                            └──audio──▶ recordings
//! ```
//! A thread waits for its inbox (`inbox.rs`) until its next slot is due (`pace.rs`), so commands act at once and ticks come
//! on absolute deadlines; in a slot it looks for packets (`arrivals.rs`), ticks its engine and sends (`thread.rs`). A leg is a plain
//! value: to connect two legs, the second moves to the first one's thread as a message.

mod arrivals;
mod batch;
mod inbox;
mod lateness;
mod pace;
mod places;
mod realtime;
mod thread;

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use offhook_media::event::{Channel, Command, LegConfig, LegId, RoomCommand, RoomId};
use offhook_media::{Leg, weight};
use tokio::sync::mpsc;

use self::inbox::{Door, Handover};
pub use self::lateness::Late;
use self::lateness::Lateness;
use self::thread::Thread;
use crate::config;
use crate::input::Input;
use crate::outbox::Outbox;
use crate::ports::Sockets;
use crate::recordings::Feed;

/// Messages that a media thread may have waiting; more wait in the router's outbox.
const INBOX: usize = 16_384;

/// Messages that may wait in the router's outbox of one thread while more is asked for: as many again. A thread that is so
/// far behind is one that stands still.
pub const MOST_WAITING: usize = INBOX;

/// What a thread takes before another is begun, by the weight of its legs: a tenth of a core with light ones. Each thread in
/// use wakes up for them in each frame, what it needs for few legs has left the caches meanwhile, and the kernel passes
/// what several send from core to core.
const FULL_THREAD: usize = 400;

#[derive(Debug)]
enum ToMedia {
    Open {
        leg: LegId,
        sockets: Sockets,
        config: LegConfig,
    },
    Command(Command),
    /// Give the leg to another thread.
    Move {
        leg: LegId,
        to: Handover,
    },
    /// A leg is on its way here: keep its commands until it has arrived.
    Expect {
        leg: LegId,
        coming: Receiver<Moved>,
    },
}

/// What a media thread could not do with a socket: the control loop tells it, who knows the names of the call.
#[derive(Debug)]
pub struct SocketFault {
    /// Whose it is.
    pub(crate) leg: LegId,
    /// Which of its two.
    pub(crate) channel: Channel,
    /// What was tried.
    pub(crate) what: Tried,
    /// Why that failed.
    pub(crate) error: io::Error,
}

/// What is done with a socket but to read and to send.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Tried {
    /// To tie it to its peer, or to open it to whoever that may be.
    Tie(Option<SocketAddr>),
    /// To be woken by what comes to it.
    Listen,
}

/// A leg on its way from one thread to another.
type Moved = Box<(Leg, Sockets)>;

/// Where a leg is, and what it weighs there: by the codec that it began with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Home {
    thread: usize,
    weight: usize,
}

/// Knows which thread has which leg. Owned by the control loop.
#[derive(Debug)]
pub struct Router {
    threads: Vec<Outbox<ToMedia, Door>>,
    homes: HashMap<LegId, Home>,
    rooms: HashMap<RoomId, usize>,
    loads: Vec<usize>,
    lateness: Vec<Arc<Lateness>>,
}

impl Router {
    /// Starts `threads` media threads, as the configuration wants them.
    pub fn start(
        threads: usize,
        config: &config::Media,
        control: &mpsc::Sender<Input>,
        recordings: &Feed,
        mut seed: impl FnMut() -> [u8; 32],
    ) -> io::Result<Self> {
        let mut router = Self {
            threads: Vec::new(),
            homes: HashMap::new(),
            rooms: HashMap::new(),
            loads: vec![0; threads],
            lateness: Vec::new(),
        };
        for index in 0..threads {
            let (door, inbox) = inbox::open(INBOX)?;
            let arrivals = arrivals::by(config.io)?;
            let (seed, control, recordings) = (seed(), control.clone(), recordings.another());
            let lateness = Arc::<Lateness>::default();
            router.lateness.push(lateness.clone());
            let is_realtime = config.realtime;
            let run = move || {
                if is_realtime {
                    realtime::come_first();
                }
                Thread::new(seed, arrivals, inbox, control, recordings, lateness).run();
            };
            std::thread::Builder::new().name(format!("media-{index}")).spawn(run)?;
            router.threads.push(Outbox::new(door));
        }
        Ok(router)
    }

    /// Begins a leg on the first thread that is not full, or once all are, on the one that has the least to do.
    pub fn open(&mut self, leg: LegId, sockets: Sockets, config: LegConfig) {
        let home = Home { thread: self.thread_with_room(), weight: weight(config.media.codec) };
        self.homes.insert(leg, home);
        self.loads[home.thread] += home.weight;
        self.send(home.thread, ToMedia::Open { leg, sockets, config });
    }

    /// Whether a thread is so far behind that nothing more is to be asked of it. What must come to its end still is: that
    /// is a few messages of each call.
    pub fn is_full(&self) -> bool {
        self.threads.iter().any(|thread| thread.backlog() >= MOST_WAITING)
    }

    /// How punctual the threads have been.
    pub fn late(&self) -> Late {
        let mut late = Late::default();
        self.lateness.iter().for_each(|lateness| lateness.add_to(&mut late));
        late
    }

    /// Hands a command to the thread that has its leg or room; one for what is gone has raced with its end.
    pub fn command(&mut self, command: Command) {
        if matches!(command, Command::InfoDigit { .. }) && self.is_full() {
            // A peer can tell keys without end, as it can by RTP: they are lost as packets are.
            return;
        }
        let home = match &command {
            Command::Room { room, command } => self.home_of_room(*room, command),
            Command::Connect { first, second, .. } => {
                let home = self.homes.get(first).map(|home| home.thread);
                home.inspect(|&home| self.bring(*second, home))
            }
            _ => command.leg().and_then(|leg| self.homes.get(&leg)).map(|home| home.thread),
        };
        if let Some(home) = home {
            self.send(home, ToMedia::Command(command));
        }
    }

    /// The leg is gone.
    pub fn forget(&mut self, leg: LegId) {
        if let Some(Home { thread, weight }) = self.homes.remove(&leg) {
            self.loads[thread] -= weight;
        }
    }

    /// Sends what a full inbox did not take before.
    pub fn flush(&mut self) {
        self.threads.iter_mut().for_each(Outbox::flush);
    }

    /// The thread that has a room. It is chosen as for a leg when the room is opened; who joins moves there.
    fn home_of_room(&mut self, room: RoomId, command: &RoomCommand) -> Option<usize> {
        match command {
            RoomCommand::Open { .. } => {
                let thread = self.thread_with_room();
                Some(*self.rooms.entry(room).or_insert(thread))
            }
            RoomCommand::Close => self.rooms.remove(&room),
            RoomCommand::Join { leg, .. } => {
                let home = self.rooms.get(&room).copied();
                home.inspect(|&home| self.bring(*leg, home))
            }
            _ => self.rooms.get(&room).copied(),
        }
    }

    /// The first thread that is not full, or once all are, the one that has the least to do.
    fn thread_with_room(&self) -> usize {
        let calmest = || self.loads.iter().enumerate().min_by_key(|(_, load)| **load);
        let begun = self.loads.iter().position(|load| *load < FULL_THREAD);
        begun.or_else(|| calmest().map(|(thread, _)| thread)).unwrap_or_default()
    }

    /// Who hears each other lives on one thread: moves a leg to where the others are.
    fn bring(&mut self, leg: LegId, to: usize) {
        let Some(&Home { thread: from, weight }) = self.homes.get(&leg).filter(|home| home.thread != to)
        else {
            return;
        };
        let (handover, coming) = self.threads[to].sender().handover();
        self.send(to, ToMedia::Expect { leg, coming });
        self.send(from, ToMedia::Move { leg, to: handover });
        self.homes.insert(leg, Home { thread: to, weight });
        self.loads[from] -= weight;
        self.loads[to] += weight;
    }

    fn send(&mut self, thread: usize, message: ToMedia) {
        self.threads[thread].send(message);
    }
}

/// How many media threads `0` (one per core) stands for.
pub fn default_threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr, SocketAddr};
    use std::sync::mpsc::sync_channel;
    use std::time::{Duration, Instant};

    use offhook_media::event::{Event, Key, RoomEvent, Voice};
    use offhook_media::sdp::{Events, Negotiated, TelephoneEvent};

    use super::arrivals::Look;
    use super::inbox::Inbox;
    use super::*;
    use crate::call_log::note_socket;
    use crate::call_log::testing::{said, whose};
    use crate::clock;
    use crate::ports::Ports;

    fn thread() -> Thread {
        thread_that_tells(mpsc::channel(8).0)
    }

    fn thread_that_tells(control: mpsc::Sender<Input>) -> Thread {
        let (_, inbox) = inbox::open(1).expect("a bell");
        let arrivals = arrivals::by(config::MediaIo::default()).expect("a way to find packets");
        let recordings = Feed::new(vec![(sync_channel(8).0, std::thread::current())]);
        Thread::new([7; 32], arrivals, inbox, control, recordings, Arc::default())
    }

    fn all(inbox: &Inbox) -> impl Iterator<Item = ToMedia> {
        std::iter::from_fn(|| inbox.try_recv().ok())
    }

    fn opened(thread: &mut Thread, now: Instant, leg: LegId, port: u16) {
        opened_to(thread, now, leg, port, (Ipv4Addr::LOCALHOST, 9).into(), false);
    }

    fn opened_to(
        thread: &mut Thread,
        now: Instant,
        leg: LegId,
        port: u16,
        remote: SocketAddr,
        symmetric: bool,
    ) {
        let (events, clock_rate) = (Events::KEYS, 8000);
        let event = TelephoneEvent { send_payload_type: 101, receive_payload_type: 101, events, clock_rate };
        let plain = Negotiated::plain(offhook_media::event::Codec::Pcmu, remote);
        let media = Negotiated { telephone_event: Some(event), ..plain };
        let config = LegConfig { symmetric, ..LegConfig::new(media) };
        thread.accept(now, ToMedia::Open { leg, sockets: sockets(now, port), config });
    }

    fn sockets(now: Instant, port: u16) -> Sockets {
        let mut ports = Ports::new(IpAddr::V4(Ipv4Addr::LOCALHOST), std::iter::once(port), 0, 1);
        let lease = ports.lease(now).expect("a free port");
        ports.take(lease).expect("its sockets")
    }

    /// Few legs are on one thread; of many, all threads have as many. A leg that computes is as many as it takes the time of.
    #[test]
    fn a_thread_is_filled_before_another_is_begun() {
        use offhook_media::event::Codec;
        for (loads, codec, home) in [
            ([0, 0], Codec::Pcmu, (0, [1, 0])),
            ([399, 0], Codec::Opus, (0, [429, 0])),
            ([400, 0], Codec::G722, (1, [400, 5])),
            ([400, 399], Codec::Pcma, (1, [400, 400])),
            ([420, 400], Codec::Pcmu, (1, [420, 401])),
            ([400, 420], Codec::Pcmu, (0, [401, 420])),
        ] {
            let doors = [(); 2].map(|()| inbox::open(1).expect("a bell"));
            let mut router = Router {
                threads: doors.map(|(door, _)| Outbox::new(door)).into(),
                homes: HashMap::new(),
                rooms: HashMap::new(),
                loads: loads.into(),
                lateness: Vec::new(),
            };
            let media = Negotiated::plain(codec, (Ipv4Addr::LOCALHOST, 9).into());
            router.open(LegId(1), sockets(clock::now().mono, 18_458), LegConfig::new(media));
            assert_eq!(
                (router.homes[&LegId(1)].thread, router.loads[..] == home.1),
                (home.0, true),
                "{loads:?}"
            );
            router.forget(LegId(1));
            assert_eq!(router.loads, loads);
        }
    }

    /// A leg that is moved on before it has arrived goes on from thread to thread, is not lost between them, and takes what
    /// is asked of it along: also where it comes back.
    #[test]
    fn a_leg_moved_on_before_it_has_arrived_is_moved_when_it_arrives() {
        let (now, leg) = (clock::now().mono, LegId(1));
        let (mut from, mut between) = (thread(), thread());
        opened(&mut from, now, leg, 18_430);
        let (door, _inbox) = inbox::open(1).expect("a bell");
        let [(to_between, at_between), (to_last, at_last), (back, returning)] =
            std::array::from_fn(|_| door.handover());
        between.accept(now, ToMedia::Expect { leg, coming: at_between });
        between.accept(now, ToMedia::Move { leg, to: to_last });
        between.accept(now, ToMedia::Expect { leg, coming: returning });
        between.accept(now, ToMedia::Command(Command::RemoveLeg { leg }));
        from.accept(now, ToMedia::Move { leg, to: to_between });
        assert!(between.take_in(now));
        let arrived = at_last.try_recv().expect("the leg at its last place");
        assert_eq!((from.engine.legs(), between.engine.legs()), (0, 0));
        back.give(arrived);
        let told = |thread: &mut Thread| std::iter::from_fn(|| thread.engine.poll_event()).count();
        assert_eq!((told(&mut between), between.take_in(now)), (0, true));
        assert_eq!((told(&mut between), between.take_in(now)), (1, false), "it was removed");
    }

    /// Nobody waits for room where both inboxes are full, each with a leg to give to the other.
    #[test]
    fn threads_with_full_inboxes_give_each_other_legs() {
        let now = clock::now().mono;
        let ((to_first, at_first), (to_second, at_second)) =
            (inbox::open(1).expect("a bell"), inbox::open(1).expect("a bell"));
        let mut router = Router {
            threads: [to_first, to_second].map(Outbox::new).into(),
            homes: HashMap::from(
                [(1, 0), (2, 1)].map(|(leg, thread)| (LegId(leg), Home { thread, weight: 1 })),
            ),
            rooms: HashMap::new(),
            loads: vec![1, 1],
            lateness: Vec::new(),
        };
        let (mut first, mut second) = (thread(), thread());
        opened(&mut first, now, LegId(1), 18_438);
        opened(&mut second, now, LegId(2), 18_460);
        router.bring(LegId(1), 1);
        router.bring(LegId(2), 0);
        loop {
            let messages = [&at_first, &at_second].map(|inbox| inbox.try_recv().ok());
            // What waits for room takes it before anybody else does.
            router.flush();
            let [None, None] = messages else {
                for (thread, message) in [&mut first, &mut second].into_iter().zip(messages) {
                    message.into_iter().for_each(|message| thread.accept(now, message));
                }
                continue;
            };
            break;
        }
        assert!(first.take_in(now) && second.take_in(now));
        assert_eq!((first.engine.legs(), second.engine.legs()), (1, 1));
        for (thread, leg) in [(&mut first, 2), (&mut second, 1)] {
            thread.engine.command(now, Command::RemoveLeg { leg: LegId(leg) });
            assert_eq!(thread.engine.legs(), 0, "the other's leg");
        }
    }

    #[test]
    fn keys_are_lost_at_a_thread_that_stands_still_and_ends_are_not() {
        let (door, inbox) = inbox::open(1).expect("a bell");
        let (leg, key, duration) = (LegId(1), Key::from_code(5).expect("a key"), Duration::from_millis(100));
        let mut router = Router {
            threads: vec![Outbox::new(door)],
            homes: HashMap::from([(leg, Home { thread: 0, weight: 1 })]),
            rooms: HashMap::new(),
            loads: vec![1],
            lateness: Vec::new(),
        };
        for _ in 0..=MOST_WAITING {
            assert!(!router.is_full());
            router.command(Command::InfoDigit { leg, key, duration });
        }
        assert!(router.is_full());
        router.command(Command::InfoDigit { leg, key, duration });
        router.command(Command::RemoveLeg { leg });
        let mut taken = Vec::new();
        while let Ok(ToMedia::Command(command)) = inbox.try_recv() {
            taken.push(command);
            router.flush();
        }
        assert_eq!(taken.len(), 1 + MOST_WAITING + 1);
        assert!(matches!(taken.last(), Some(Command::RemoveLeg { .. })) && !router.is_full());
    }

    /// A flood at one port gets no more of a slot than what a leg may need, so that other calls keep their deadlines.
    #[test]
    #[allow(clippy::disallowed_types, reason = "a peer on the loopback")]
    fn r10_a_flood_gets_its_share_of_a_slot_and_no_more() {
        let (now, leg) = (clock::now().mono, LegId(1));
        let mut thread = thread();
        let flood = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 9_000)).expect("a free port");
        opened_to(&mut thread, now, leg, 18_434, flood.local_addr().expect("bound"), false);
        for sequence in 0..100u8 {
            let header = [0x80, 0, 0, sequence, 0, 0, 0, 0, 0, 0, 0, 1];
            let packet = [&header[..], &[0xff; 160]].concat();
            flood.send_to(&packet, (Ipv4Addr::LOCALHOST, 18_434)).expect("sent");
        }
        thread.hear(now, Look { slots: 10, passes_on: false, frame: None });
        thread.engine.command(now, Command::RemoveLeg { leg });
        let told = std::iter::from_fn(|| thread.engine.poll_event());
        let received: Vec<u64> = told
            .filter_map(|event| match event {
                Event::LegRemoved { stats, .. } => Some(stats.packets_received),
                _ => None,
            })
            .collect();
        assert_eq!(received, [arrivals::MAX_AT_ONCE]);
    }

    /// What a control loop that stands still has not taken is kept, and no more of it is made: packets wait in the kernel.
    #[test]
    #[allow(clippy::disallowed_types, reason = "a peer on the loopback")]
    fn while_too_many_events_wait_no_packets_are_taken_and_none_is_lost() {
        let (begun, leg) = (clock::now().mono, LegId(1));
        let (to_control, mut at_control) = mpsc::channel(8);
        let mut thread = thread_that_tells(to_control);
        let peer = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        opened_to(&mut thread, begun, leg, 18_462, peer.local_addr().expect("bound"), false);
        let by_info = thread::MOST_EVENTS - 20;
        // None of those that are told by RTP: one told by both is one.
        let key = Key::from_code(15).expect("a key");
        let duration = Duration::from_millis(100);
        let mut now = begun;
        for _ in 0..by_info {
            // Each a press of its own.
            now += Duration::from_secs(1);
            thread.obey(now, ToMedia::Command(Command::InfoDigit { leg, key, duration }));
        }
        let mut slot = |thread: &mut Thread| {
            now += Duration::from_millis(2);
            thread.slot(now);
            thread.backlog()
        };
        assert_eq!(slot(&mut thread), by_info - 8, "as many as there are, but for those in the channel");
        for number in 0..40u8 {
            // The end of a key press of 100 ms (RFC 4733 §2.3), one every 200 ms.
            let [high, low] = (u16::from(number) * 1600).to_be_bytes();
            let header = [0x80, 0x80 | 101, 0, number, 0, 0, high, low, 0, 0, 0, 1];
            let packet = [&header[..], &[number % 10, 0x8a, 3, 0x20]].concat();
            peer.send_to(&packet, (Ipv4Addr::LOCALHOST, 18_462)).expect("sent");
        }
        let most = (0..100).map(|_| slot(&mut thread)).max();
        let slots = usize::try_from(arrivals::MAX_AT_ONCE).expect("a few");
        assert!(most.is_some_and(|most| most < thread::MOST_EVENTS + slots), "{most:?}");
        let mut digits = 0;
        for _ in 0..10_000 {
            slot(&mut thread);
            let told = std::iter::from_fn(|| at_control.try_recv().ok());
            digits += told.filter(|input| matches!(input, Input::Media(Event::Digit { .. }))).count();
        }
        assert_eq!(digits, by_info + 40);
    }

    /// The kernel ties no socket to everybody (`EACCES`, connect(2)). The control loop says so, by the names of the call.
    #[test]
    fn an_address_that_cannot_be_tied_to_is_told() {
        let (to_control, mut at_control) = mpsc::channel(8);
        let mut thread = thread_that_tells(to_control);
        let everybody = (Ipv4Addr::BROADCAST, 9).into();
        opened_to(&mut thread, clock::now().mono, LegId(7), 18_466, everybody, false);
        let told = std::iter::from_fn(|| at_control.try_recv().ok());
        let faults: Vec<SocketFault> = told
            .filter_map(|input| if let Input::Socket(fault) = input { Some(fault) } else { None })
            .collect();
        assert!(faults.iter().all(|fault| fault.leg == LegId(7)), "{faults:?}");
        let lines = said(|| faults.iter().for_each(|fault| note_socket(&whose(), fault)));
        assert_eq!(lines, ["DEBUG media address refused"; 2]);
    }

    /// A peer that sends from elsewhere than it named is heard, and answered where it is; a stranger is not.
    #[test]
    #[allow(clippy::disallowed_types, reason = "peers on the loopback")]
    fn r1_a_peer_behind_a_nat_is_found_by_its_packets() {
        let (mut now, leg) = (clock::now().mono, LegId(1));
        let mut thread = thread();
        let bind = || std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let (named, peer, stranger) = (bind(), bind(), bind());
        opened_to(&mut thread, now, leg, 18_436, named.local_addr().expect("bound"), true);
        let mut buffer = [0; 2048];
        let mut heard = |socket: &std::net::UdpSocket| {
            socket.set_nonblocking(true).expect("a socket");
            std::iter::from_fn(|| socket.recv(&mut buffer).ok()).count()
        };
        let prompt = offhook_media::event::Prompt::new(offhook_media::event::Codec::Pcmu, vec![0x30; 8000]);
        let (action, prompts) = (offhook_media::event::ActionId(1), vec![std::sync::Arc::new(prompt)]);
        thread.accept(now, ToMedia::Command(Command::Play { leg, action, prompts, repeat: 0 }));
        for sequence in 0..50u8 {
            for (ssrc, socket) in [(1, &peer), (2, &stranger)] {
                let header = [0x80, 0, 0, sequence * ssrc, 0, 0, 0, sequence, 0, 0, 0, ssrc];
                let packet = [&header[..], &[0xff; 160]].concat();
                socket.send_to(&packet, (Ipv4Addr::LOCALHOST, 18_436)).expect("sent");
            }
            for _ in 0..10 {
                thread.slot(now);
                now += Duration::from_millis(2);
            }
        }
        assert_eq!(heard(&stranger), 0);
        let (named, peer) = (heard(&named), heard(&peer));
        assert!(named <= 3 && named + peer >= 48, "{named} packets, and {peer} to where it is");
    }

    /// A room lives on one thread, and a leg of another one that joins is a member as soon as it has arrived.
    #[test]
    fn a_leg_that_joins_a_room_moves_to_its_thread() {
        let (now, leg, room) = (clock::now().mono, LegId(1), RoomId(1));
        let (to_first, at_first) = inbox::open(8).expect("a bell");
        let (to_second, at_second) = inbox::open(8).expect("a bell");
        let mut router = Router {
            threads: [to_first, to_second].map(Outbox::new).into(),
            homes: HashMap::from([(leg, Home { thread: 0, weight: 1 })]),
            rooms: HashMap::new(),
            loads: vec![FULL_THREAD, 0],
            lateness: Vec::new(),
        };
        let (mut first, mut second) = (thread(), thread());
        opened(&mut first, now, leg, 18_432);
        let voice = Voice::default();
        for command in [
            RoomCommand::Open { tells_talking: false },
            RoomCommand::Join { leg, voice },
            RoomCommand::Leave { leg },
            RoomCommand::Join { leg, voice },
        ] {
            router.command(Command::Room { room, command });
        }
        assert_eq!((router.homes[&leg].thread, &router.loads), (1, &vec![FULL_THREAD - 1, 1]));
        // The thread of the room is the faster one.
        all(&at_second).for_each(|message| second.accept(now, message));
        all(&at_first).for_each(|message| first.accept(now, message));
        assert!(second.take_in(now));
        assert_eq!((first.engine.legs(), second.engine.legs()), (0, 1));
        router.command(Command::Room { room, command: RoomCommand::Close });
        all(&at_second).for_each(|message| second.accept(now, message));
        let told: Vec<Event> = std::iter::from_fn(|| second.engine.poll_event()).collect();
        let left = Event::Room { room, event: RoomEvent::Left { leg } };
        assert_eq!(told, [left.clone(), left, Event::Room { room, event: RoomEvent::Closed }]);
        assert!(!second.engine.is_idle(), "the leg goes on");
        router.command(Command::RemoveLeg { leg });
        all(&at_second).for_each(|message| second.accept(now, message));
        assert!(second.engine.is_idle());
        assert!(router.rooms.is_empty());
    }
}
