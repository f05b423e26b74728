use std::collections::HashSet;

use offhook_call::event::UnixMs;

use super::*;

/// A hook and the log before it, in virtual time.
struct World {
    start: Instant,
    now: Instant,
    delivery: Delivery,
    under_way: Vec<Attempt>,
}

const HOUR: Duration = Duration::from_secs(3_600);

#[allow(clippy::disallowed_methods, reason = "where virtual time begins")]
fn world(saved: Saved) -> World {
    let now = Instant::now();
    World { start: now, now, delivery: Delivery::new(saved, 7), under_way: Vec::new() }
}

fn message(seq: u64, resource: &str) -> Message {
    let resource = resource.to_owned();
    Message {
        id: Id { seq, part: 0 },
        resource,
        type_name: "sys.a",
        body: "{}".into(),
        trace: None,
        hole: None,
    }
}

fn failed(retry_after: Option<u64>) -> Outcome {
    Outcome::Failed { why: "500".to_owned(), retry_after: retry_after.map(Duration::from_secs) }
}

impl World {
    fn now(&self) -> Now {
        let wall = self.now.duration_since(self.start).as_millis();
        Now { mono: self.now, wall: UnixMs(wall.try_into().unwrap()) }
    }

    fn offer(&mut self, seq: u64, resource: &str) {
        self.delivery.offer(self.now, message(seq, resource));
        self.delivery.passed(seq);
    }

    /// The numbers of all requests that are made now.
    fn begin(&mut self) -> Vec<u64> {
        let before = self.under_way.len();
        while let Some(attempt) = self.delivery.poll(self.now) {
            self.under_way.push(attempt);
        }
        self.under_way[before..].iter().map(|attempt| attempt.id.seq).collect()
    }

    fn end(&mut self, seq: u64, outcome: Outcome) {
        let at = self.under_way.iter().position(|attempt| attempt.id.seq == seq).unwrap();
        let attempt = self.under_way.remove(at);
        self.delivery.finished(self.now(), &attempt, outcome);
    }

    fn skip(&mut self) -> Duration {
        let at = self.delivery.poll_timeout().expect("something to wait for");
        let at = at.max(self.now);
        let waited = at - self.now;
        self.now = at;
        waited
    }
}

#[test]
fn one_resource_goes_in_order_and_others_beside_it() {
    let mut world = world(Saved::after(0));
    for (seq, call) in [(1, "a"), (2, "b"), (3, "a"), (4, "")] {
        world.offer(seq, call);
    }
    assert_eq!(world.begin(), [1, 2, 4]);
    world.end(2, Outcome::Delivered);
    assert_eq!(world.begin(), [] as [u64; 0]);
    world.end(1, Outcome::Delivered);
    assert_eq!(world.begin(), [3]);
}

#[test]
fn eight_are_under_way_at_a_time() {
    let mut world = world(Saved::after(0));
    for seq in 1..=20 {
        world.offer(seq, &seq.to_string());
    }
    assert_eq!(world.begin(), (1..=8).collect::<Vec<_>>());
    world.end(5, Outcome::Delivered);
    assert_eq!(world.begin(), [9]);
}

/// The times are those of the specification: 1 s, 5 s, 30 s, 5 min, 30 min, 2 h, and up to three days.
#[test]
fn a_failure_is_tried_again_for_three_days_and_then_is_a_dead_letter() {
    let mut world = world(Saved::after(0));
    world.offer(1, "a");
    world.offer(2, "a");
    let mut waits = Vec::new();
    loop {
        assert_eq!(world.begin().len(), 1, "{waits:?}");
        let seq = world.under_way[0].id.seq;
        if seq == 2 {
            break;
        }
        world.end(1, failed(None));
        if world.delivery.poll_timeout().is_some() {
            waits.push(world.skip());
        }
    }
    let specified = [1, 5, 30, 300, 1_800, 7_200].map(Duration::from_secs);
    for (wait, most) in waits.iter().zip(specified) {
        assert!(*wait <= most && *wait >= most.mul_f64(0.8), "{wait:?} of {most:?}");
    }
    let all: Duration = waits.iter().sum();
    assert!(all > 54 * HOUR && all <= 72 * HOUR, "{all:?}");
    let dead: Vec<_> = world.delivery.dead().cloned().collect();
    let time_ms = all.as_millis().try_into().unwrap();
    assert_eq!(dead, [Dead { seq: 1, type_name: "sys.a".into(), time_ms, why: "500".into() }]);
    assert_eq!(world.delivery.counts(), Counts { delivered: 0, failed: 12, dead: 1 });
    world.end(2, Outcome::Delivered);
    assert_eq!((world.delivery.pending(), world.delivery.poll_timeout()), (0, None));
}

/// A restart is no reason to ask again, nor to give up earlier.
#[test]
fn what_waits_goes_on_waiting_after_a_restart() {
    let mut first = world(Saved::after(0));
    first.offer(1, "a");
    first.offer(2, "b");
    for _ in 0..4 {
        first.begin();
        first.end(1, failed(None));
        first.under_way.retain(|attempt| attempt.id.seq != 2);
        first.skip();
    }
    first.begin();
    first.end(1, failed(None));
    let wait = first.delivery.poll_timeout().unwrap() - first.now;
    let saved = first.delivery.saved(first.now + wait / 2, None);
    let mut second = world(saved);
    second.offer(1, "a");
    second.offer(2, "b");
    assert_eq!(second.begin(), [2], "what was under way is asked again at once");
    second.end(2, Outcome::Delivered);
    let left = second.skip();
    assert!(left.abs_diff(wait / 2) < Duration::from_millis(2), "{left:?} of {wait:?}");
    assert_eq!(second.begin(), [1]);
}

#[test]
fn a7_a_failure_holds_up_its_own_resource_only() {
    let mut world = world(Saved::after(0));
    world.offer(1, "a");
    world.offer(2, "a");
    world.begin();
    world.end(1, failed(None));
    world.offer(3, "b");
    assert_eq!(world.begin(), [3]);
    world.end(3, Outcome::Delivered);
    world.skip();
    assert_eq!(world.begin(), [1]);
}

#[test]
fn who_wants_to_be_left_alone_is() {
    let mut world = world(Saved::after(0));
    world.offer(1, "a");
    world.begin();
    world.end(1, failed(Some(60)));
    world.offer(2, "b");
    assert_eq!(world.begin(), [] as [u64; 0]);
    assert_eq!(world.skip(), Duration::from_secs(60));
    let mut begun = world.begin();
    begun.sort_unstable();
    assert_eq!(begun, [1, 2]);
    // A day at most, and no message waits longer than three.
    world.end(1, failed(Some(400_000)));
    world.end(2, Outcome::Delivered);
    assert_eq!(world.skip(), 24 * HOUR);
    for _ in 0..2 {
        world.begin();
        world.end(1, failed(Some(400_000)));
        world.now += 24 * HOUR;
    }
    assert_eq!((world.delivery.dead().count(), world.delivery.pending()), (1, 0));
}

#[test]
fn gone_disables_until_redelivery() {
    let mut world = world(Saved::after(0));
    world.offer(1, "a");
    world.offer(2, "b");
    world.begin();
    world.end(1, Outcome::Gone);
    world.end(2, failed(None));
    assert!(world.delivery.is_disabled() && !world.delivery.wants_more());
    assert_eq!((world.begin(), world.delivery.poll_timeout()), (Vec::new(), None));
    let saved = world.delivery.saved(world.now, None);
    assert!(saved.is_disabled);
    assert_eq!(saved.pending.iter().map(|pending| pending.id.seq).collect::<Vec<_>>(), [1, 2]);
    world.delivery.redeliver(0);
    assert!(world.delivery.wants_more());
    world.offer(1, "a");
    assert_eq!(world.begin(), [1]);
}

#[test]
fn no_more_is_read_than_there_is_room_for() {
    let mut world = world(Saved::after(0));
    let mut seq = 0;
    while world.delivery.wants_more() {
        seq += 1;
        world.offer(seq, "a");
    }
    assert_eq!(usize::try_from(seq), Ok(PENDING_MAX));
    world.begin();
    world.end(1, Outcome::Delivered);
    assert!(world.delivery.wants_more());
    let mut large = message(300, "b");
    large.body = vec![b'x'; BYTES_MAX].into();
    world.delivery.offer(world.now, large);
    assert!(!world.delivery.wants_more());
}

/// A hook that was down gets what waits for hours as soon as something arrives; one that refuses one message now and then
/// is not asked more often for that.
#[test]
fn a_hook_that_is_back_gets_what_waits() {
    let mut world = world(Saved::after(0));
    for seq in 1..=4 {
        world.offer(seq, &seq.to_string());
    }
    for _ in 0..4 {
        world.begin();
        while world.under_way.len() < 4 {
            world.skip();
            world.begin();
        }
        for seq in 1..=4 {
            world.end(seq, failed(None));
        }
    }
    world.offer(5, "5");
    assert_eq!(world.begin(), [5]);
    world.end(5, Outcome::Delivered);
    let mut begun = world.begin();
    begun.sort_unstable();
    assert_eq!(begun, [1, 2, 3, 4]);
    world.end(1, failed(None));
    for seq in 2..=4 {
        world.end(seq, Outcome::Delivered);
    }
    assert_eq!(world.begin(), [] as [u64; 0]);
}

#[test]
fn a7_a_hole_is_told_once_and_over_a_restart() {
    let mut first = world(Saved::after(10));
    let hole = Hole { reason: GapReason::Damaged, first: Some(11), last: 20, time_ms: 5 };
    assert!(first.delivery.misses(11, 20));
    let notice = Message { id: Id::notice(20), hole: Some(hole), ..message(20, "") };
    first.delivery.push_notice(first.now, notice.clone());
    first.offer(21, "a");
    let saved = first.delivery.saved(first.now, None);
    assert_eq!((saved.read, saved.from), (21, 20));
    assert_eq!(saved.pending[0].hole, Some(hole));

    let mut second = world(saved);
    second.delivery.push_notice(second.now, notice);
    second.offer(21, "a");
    second.offer(22, "b");
    assert_eq!(second.begin(), [20, 21, 22]);
    // What is lost and was done before is not missed.
    for seq in [20, 21, 22] {
        second.end(seq, Outcome::Delivered);
    }
    let mut third = world(second.delivery.saved(second.now, Some(3)));
    assert!(!third.delivery.misses(4, 22));
    assert!(third.delivery.misses(4, 23));
}

/// Random answers, random restarts from what was remembered a while ago: every message arrives, for the first time in the
/// order of its resource, and no more than eight are under way.
#[test]
fn whatever_happens_nothing_is_missing() {
    const MESSAGES: u64 = 400;
    for seed in 0..200 {
        let mut random = fastrand::Rng::with_seed(seed);
        let log: Vec<String> = (0..MESSAGES).map(|_| random.char('a'..='m').to_string()).collect();
        let mut world = world(Saved::after(0));
        let (mut cursor, mut saved) = (0, Saved::after(0));
        let (mut seen, mut done) = (HashSet::new(), Vec::new());
        let mut turns = 0;
        while world.delivery.pending() > 0 || cursor < MESSAGES {
            turns += 1;
            assert!(turns < 200_000, "seed {seed}: no end");
            match random.u32(0..100) {
                0 => saved = world.delivery.saved(world.now, None),
                1 if seen.len() < 300 => {
                    let now = world.now;
                    world = self::world(saved.clone());
                    (world.now, cursor) = (now, saved.from);
                }
                2..40 if cursor < MESSAGES && world.delivery.wants_more() => {
                    cursor += 1;
                    world.offer(cursor, &log[usize::try_from(cursor).unwrap() - 1]);
                }
                40..70 => _ = world.begin(),
                70..95 if !world.under_way.is_empty() => {
                    let attempt = &world.under_way[random.usize(0..world.under_way.len())];
                    let (seq, resource) = (attempt.id.seq, attempt.resource.clone());
                    let delivered = random.u32(0..10) > 2;
                    if delivered && seen.insert(seq) {
                        done.push((resource, seq));
                    }
                    world.end(seq, if delivered { Outcome::Delivered } else { failed(None) });
                }
                _ if world.delivery.poll_timeout().is_some() => _ = world.skip(),
                _ => {}
            }
            assert!(world.under_way.len() <= IN_FLIGHT_MAX);
            let under_way: HashSet<_> = world.under_way.iter().map(|attempt| &attempt.resource).collect();
            assert_eq!(under_way.len(), world.under_way.len(), "one at a time of a resource");
        }
        let dead = world.delivery.counts().dead;
        assert_eq!((seen.len() as u64 + dead, dead), (MESSAGES, 0), "seed {seed}");
        for resource in 'a'..='m' {
            let resource = resource.to_string();
            let order: Vec<u64> =
                done.iter().filter(|(of, _)| *of == resource).map(|(_, seq)| *seq).collect();
            assert!(order.is_sorted(), "seed {seed}: {resource}: {order:?}");
        }
    }
}
