use super::*;

fn now() -> Instant {
    crate::clock::now().mono
}

/// What a member hears of a list of events, each a number and a resource; an upper-case name is the last event of it.
fn heard(group: &mut Group, id: MemberId, events: &[(u64, &str)]) -> Vec<u64> {
    let mine = events.iter().filter(|(seq, name)| {
        let res_id = Some(name.to_lowercase()).filter(|name| name != "-");
        group.read(id, *seq, res_id.as_deref(), name.chars().any(char::is_uppercase))
    });
    mine.map(|(seq, _)| *seq).collect()
}

fn takeover(res_ids: &[&str], after: u64, to: u64) -> Takeover {
    Takeover { res_ids: res_ids.iter().map(|res_id| (*res_id).to_owned()).collect(), after, to }
}

#[test]
fn each_resource_is_one_members_and_stays_so() {
    let mut group = Group::default();
    let (one, start) = group.join(1, 10, None);
    let (other, _) = group.join(2, 10, None);
    assert_eq!(start, 10);
    let events = [(11, "a"), (12, "b"), (13, "a"), (14, "-"), (15, "c"), (16, "d"), (17, "b")];
    assert_eq!(heard(&mut group, one, &events), [11, 13, 14, 15]);
    assert_eq!(heard(&mut group, other, &events), [12, 14, 16, 17], "what is of no resource is everybody's");
}

#[test]
fn who_has_least_gets_what_is_new() {
    let mut group = Group::default();
    let (one, _) = group.join(1, 0, None);
    assert_eq!(heard(&mut group, one, &[(1, "a"), (2, "b"), (3, "c")]), [1, 2, 3]);
    let (other, start) = group.join(2, 3, None);
    assert_eq!(start, 3);
    let events = [(4, "d"), (5, "e"), (6, "f"), (7, "A"), (8, "B"), (9, "C"), (10, "g")];
    assert_eq!(heard(&mut group, one, &events), [7, 8, 9, 10]);
    assert_eq!(heard(&mut group, other, &events), [4, 5, 6]);
}

/// One that is behind must not get what it would meet, and one that is ahead what it has passed.
#[test]
fn a_member_gets_nothing_that_it_has_read_past() {
    let mut group = Group::default();
    let (one, _) = group.join(1, 0, None);
    let (other, _) = group.join(2, 0, None);
    assert_eq!(heard(&mut group, one, &[(1, "-"), (2, "-"), (3, "a")]), [1, 2, 3]);
    assert_eq!(heard(&mut group, other, &[(1, "-"), (2, "-"), (3, "a"), (4, "b")]), [1, 2, 4]);
    let (late, start) = group.join(3, 9, None);
    assert_eq!(start, 4, "where the group has come to");
    // It has none, so it gets what is new; of those that have as many then it is the first.
    assert_eq!(heard(&mut group, one, &[(4, "b"), (5, "c"), (6, "d")]), [6]);
    assert_eq!(heard(&mut group, other, &[(5, "c"), (6, "d")]), [] as [u64; 0]);
    assert_eq!(heard(&mut group, late, &[(5, "c"), (6, "d")]), [5]);
}

#[test]
fn the_others_take_over_what_was_not_acknowledged() {
    let mut group = Group::default();
    let (one, _) = group.join(1, 0, None);
    let (other, _) = group.join(2, 0, None);
    let events = [(1, "a"), (2, "b"), (3, "a"), (4, "c"), (5, "A")];
    assert_eq!(heard(&mut group, one, &events), [1, 3, 4, 5]);
    assert_eq!(heard(&mut group, other, &events[..4]), [2]);
    assert_eq!(group.ack(1, 3), 1);
    assert_eq!(group.ack(9, 3), 0, "nobody is there");
    group.leave(now(), one);
    assert_eq!(group.takeover(other), Some(takeover(&["a", "c"], 3, 4)));
    assert_eq!(group.takeover(other), None);
    // The rest it meets by itself.
    assert_eq!(heard(&mut group, other, &[(5, "A"), (6, "c")]), [5, 6]);
}

#[test]
fn what_is_acknowledged_to_its_end_is_done_with() {
    let mut group = Group::default();
    let (one, _) = group.join(1, 0, None);
    assert_eq!(heard(&mut group, one, &[(1, "a"), (2, "A"), (3, "b"), (4, "B")]), [1, 2, 3, 4]);
    group.ack(1, 2);
    // Nobody can acknowledge what has not been read.
    group.ack(1, 0);
    assert_eq!(group.resources.keys().collect::<Vec<_>>(), ["b"]);
    let (other, _) = group.join(2, 4, None);
    group.leave(now(), one);
    assert_eq!(group.takeover(other), Some(takeover(&["b"], 2, 4)));
}

/// Acknowledging a number says nothing of events with lower numbers that came after it.
#[test]
fn what_was_taken_over_is_owed_until_a_later_event_is_acknowledged() {
    let mut group = Group::default();
    let (one, _) = group.join(1, 0, None);
    let (other, _) = group.join(2, 0, None);
    let (third, _) = group.join(3, 0, None);
    let events = [(1, "a"), (2, "b"), (3, "c"), (4, "b"), (5, "c")];
    for id in [one, other, third] {
        heard(&mut group, id, &events);
    }
    group.ack(2, 5);
    group.leave(now(), one);
    assert_eq!(group.takeover(other), Some(takeover(&["a"], 0, 5)));
    group.ack(2, 5);
    group.leave(now(), other);
    assert_eq!(group.takeover(third), Some(takeover(&["a"], 0, 5)), "it may not have come there");
    heard(&mut group, third, &[(6, "a")]);
    group.ack(3, 6);
    let (fourth, _) = group.join(4, 6, None);
    group.leave(now(), third);
    assert_eq!(group.takeover(fourth), None, "all is done with");
    assert_eq!(heard(&mut group, fourth, &[(7, "a"), (8, "b"), (9, "c")]), [7, 8, 9]);
}

#[test]
fn a_group_that_all_have_left_keeps_its_place() {
    let mut group = Group::default();
    let (one, _) = group.join(1, 0, None);
    heard(&mut group, one, &[(1, "a"), (2, "b"), (3, "A")]);
    group.ack(1, 1);
    group.leave(now(), one);
    assert!(group.is_empty());
    let (back, start) = group.join(2, 50, None);
    assert_eq!(start, 3);
    assert_eq!(group.takeover(back), Some(takeover(&["a", "b"], 1, 3)));
    assert_eq!(heard(&mut group, back, &[(4, "c"), (5, "b")]), [4, 5]);
}

#[test]
fn who_makes_a_call_hears_of_it() {
    let mut group = Group::default();
    let (one, _) = group.join(1, 0, None);
    let (other, _) = group.join(2, 0, None);
    group.claim(2, "a");
    group.claim(9, "b");
    let events = [(1, "a"), (2, "b"), (3, "A")];
    assert_eq!(heard(&mut group, one, &events), [2]);
    assert_eq!(heard(&mut group, other, &events), [1, 3]);
}

#[test]
fn a_group_does_not_grow_without_end() {
    let mut group = Group::default();
    let (one, _) = group.join(1, 0, None);
    for n in 0..RESOURCES_MAX as u64 + 100 {
        group.read(one, 2 * n + 1, Some(&n.to_string()), false);
        group.read(one, 2 * n + 2, Some(&n.to_string()), true);
    }
    assert_eq!(group.resources.len(), RESOURCES_MAX);
    assert!(!group.resources.contains_key("99") && group.resources.contains_key("100"));
}

/// A member of a crowd: where it reads, and what it has heard and not acknowledged.
struct Someone {
    id: MemberId,
    connection: usize,
    cursor: u64,
    heard: u64,
}

struct Crowd {
    rng: fastrand::Rng,
    group: Group,
    members: Vec<Someone>,
    /// The resource of each event from 1 on, and whether it is its last.
    events: Vec<(usize, bool)>,
    /// The live resources.
    live: Vec<usize>,
    resources: usize,
    connections: usize,
    /// Who has heard each event.
    heard: Vec<Vec<MemberId>>,
}

impl Crowd {
    fn happen(&mut self) {
        if self.live.is_empty() || self.rng.u8(..4) == 0 {
            self.live.push(self.resources);
            self.resources += 1;
        }
        let index = self.rng.usize(..self.live.len());
        let last = self.rng.u8(..4) == 0;
        let resource = if last { self.live.swap_remove(index) } else { self.live[index] };
        self.events.push((resource, last));
        self.heard.push(Vec::new());
    }

    fn come(&mut self) {
        self.connections += 1;
        let (id, cursor) = self.group.join(self.connections, self.events.len() as u64, None);
        self.members.push(Someone { id, connection: self.connections, cursor, heard: cursor });
    }

    /// One reads what it has taken over, or the next event.
    fn read(&mut self, index: usize) {
        let Someone { id, cursor, heard, .. } = &mut self.members[index];
        let at = |seq: u64| usize::try_from(seq).unwrap() - 1;
        while let Some(Takeover { res_ids, after, to }) = self.group.takeover(*id) {
            assert!(to <= *cursor, "nothing is read twice by one");
            for seq in after + 1..=to {
                if res_ids.contains(&self.events[at(seq)].0.to_string()) {
                    self.heard[at(seq)].push(*id);
                }
            }
        }
        let Some(&(resource, last)) = self.events.get(at(*cursor + 1)) else { return };
        *cursor += 1;
        if self.group.read(*id, *cursor, Some(&resource.to_string()), last) {
            self.heard[at(*cursor)].push(*id);
            *heard = *cursor;
        }
    }
}

/// Members that come, go, read at their own pace and acknowledge what they have heard, at random: every event is heard, and by
/// nobody twice but by who takes over.
#[test]
fn whoever_comes_and_goes_everything_is_heard() {
    for seed in 0..300 {
        let (group, members, events) = (Group::default(), Vec::new(), Vec::new());
        let (live, heard, rng) = (Vec::new(), Vec::new(), fastrand::Rng::with_seed(seed));
        let mut crowd = Crowd { rng, group, members, events, live, resources: 0, connections: 0, heard };
        crowd.come();
        for _ in 0..500 {
            let anybody = (!crowd.members.is_empty()).then(|| crowd.rng.usize(..crowd.members.len()));
            match (crowd.rng.u8(..20), anybody) {
                (0..6, _) => crowd.happen(),
                (6, _) if crowd.members.len() < 5 => crowd.come(),
                (7, Some(index)) => {
                    let gone = crowd.members.swap_remove(index);
                    crowd.group.leave(now(), gone.id);
                }
                (8..11, Some(index)) => {
                    let Someone { connection, heard, .. } = crowd.members[index];
                    assert_eq!(crowd.group.ack(connection, heard), 1);
                }
                (_, Some(index)) => crowd.read(index),
                _ => {}
            }
        }
        if crowd.members.is_empty() {
            crowd.come();
        }
        for index in 0..crowd.members.len() {
            (0..=crowd.events.len()).for_each(|_| crowd.read(index));
        }
        for (event, heard) in crowd.heard.iter().enumerate() {
            assert!(
                !heard.is_empty(),
                "seed {seed}: nobody has heard event {} of {:?}",
                event + 1,
                crowd.events[event]
            );
            let once: HashSet<_> = heard.iter().collect();
            assert_eq!(once.len(), heard.len(), "seed {seed}: event {} was heard twice by one", event + 1);
        }
        crowd.members.iter().for_each(|someone| _ = crowd.group.ack(someone.connection, u64::MAX));
        let left: HashSet<_> = crowd.group.resources.keys().map(|res_id| res_id.parse().unwrap()).collect();
        let owed: HashSet<_> =
            crowd.group.members.values().flat_map(|m| &m.takeovers).flat_map(|(t, _)| &t.res_ids).collect();
        for resource in left {
            assert!(
                crowd.live.contains(&resource) || owed.contains(&resource.to_string()),
                "seed {seed}: {resource} is left"
            );
        }
    }
}

/// What was constructed or answered over the connection of a member goes on for so long without any, and is told once.
#[test]
fn a5_what_nobody_comes_for_in_time_is_deserted() {
    let (mut group, start) = (Group::default(), now());
    let at = |seconds| start + Duration::from_secs(seconds);
    let (one, _) = group.join(1, 0, Some(Duration::from_secs(30)));
    let (other, _) = group.join(2, 0, Some(Duration::from_secs(30)));
    assert_eq!(heard(&mut group, one, &[(1, "a"), (2, "b"), (3, "c")]), [1, 3]);
    assert_eq!(heard(&mut group, other, &[(1, "a"), (2, "b"), (3, "c")]), [2]);
    group.claim(1, "a");
    group.claim(2, "b");
    // One of a connection that has nothing to do with the group, and one that is over.
    group.claim(9, "c");
    group.claim(2, "d");
    heard(&mut group, other, &[(4, "D")]);

    group.leave(at(0), one);
    assert_eq!((group.poll_timeout(), group.deserted(at(100))), (None, vec![]), "the other is there");
    group.leave(at(100), other);
    assert_eq!((group.poll_timeout(), group.deserted(at(129))), (Some(at(130)), vec![]));
    assert_eq!(group.deserted(at(130)), ["a", "b"]);
    assert_eq!((group.poll_timeout(), group.deserted(at(131))), (None, vec![]));
}

#[test]
fn a5_who_comes_back_in_time_finds_the_calls_as_they_were() {
    let (mut group, start) = (Group::default(), now());
    let at = |seconds| start + Duration::from_secs(seconds);
    let (one, _) = group.join(1, 0, Some(Duration::from_secs(30)));
    group.claim(1, "a");
    group.leave(at(0), one);
    // Where they differ it is that of who leaves last.
    let (two, _) = group.join(2, 0, Some(Duration::from_secs(5)));
    assert_eq!((group.poll_timeout(), group.deserted(at(500))), (None, vec![]));
    assert_eq!(heard(&mut group, two, &[(1, "a")]), [1]);
    group.leave(at(500), two);
    assert_eq!((group.deserted(at(504)), group.deserted(at(505))), (vec![], vec!["a".to_owned()]));

    let (three, _) = group.join(3, 0, None);
    let (four, _) = group.join(4, 0, Some(Duration::from_secs(1)));
    group.claim(3, "b");
    group.leave(at(599), four);
    group.leave(at(600), three);
    assert_eq!((group.poll_timeout(), group.deserted(at(99_999))), (None, vec![]), "kept, by default");
}

/// The answer to what was asked for last comes when the connection is gone, and when the time is over.
#[test]
fn a5_what_was_asked_for_last_is_deserted_too() {
    let (mut group, start) = (Group::default(), now());
    let at = |seconds| start + Duration::from_secs(seconds);
    let (one, _) = group.join(1, 0, Some(Duration::from_secs(1)));
    group.leave(at(0), one);
    assert_eq!(group.deserted(at(1)), [] as [&str; 0]);
    group.claim(1, "a");
    assert_eq!(group.poll_timeout(), Some(at(1)));
    assert_eq!(group.deserted(at(2)), ["a"]);
    // Who comes then hears of it from its beginning, and of its end.
    let (two, start) = group.join(2, 7, None);
    assert_eq!((start, group.takeover(two)), (0, None));
    assert_eq!(heard(&mut group, two, &[(1, "a"), (2, "A")]), [1, 2]);

    // With others there it is one of theirs; of connections that have long left nothing is known.
    group.claim(1, "b");
    assert_eq!(heard(&mut group, two, &[(3, "b")]), [3]);
    for connection in 10..10 + LEFT_MAX {
        let (gone, _) = group.join(connection, 0, None);
        group.leave(at(3), gone);
    }
    group.claim(1, "c");
    assert!(!group.resources.contains_key("c"));
}
