//! Messages bent in every way that keeps them looking like messages, thrown at a live endpoint between commands, responses
//! and time (reliability G1, P1). The short form of what `fuzz/` does for as long as one likes.
//!
//! `OFFHOOK_SEED=17 cargo test --package offhook-sip --test wire mutations` plays one world again.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use crate::script::Script;
use crate::stage::{epoch, request};
use crate::torture::cases;

/// Worlds, and the datagrams of each: 200,000 together.
const WORLDS: u64 = 400;
const DATAGRAMS: usize = 500;

/// What is put where it does not belong.
const POISON: [&[u8]; 40] = [
    b"",
    b"\r",
    b"\n",
    b"\0",
    b"\r\n",
    b"\r\n ",
    b"\r\n\r\n",
    b"\"",
    b"\\",
    b"<",
    b">",
    b";",
    b",",
    b":",
    b"@",
    b"=",
    b" ",
    b"\t",
    b"%00",
    b"%",
    b"[",
    b"]",
    b":::",
    b"\xff\xfe",
    b"\x1b[2J",
    b"0",
    b"-1",
    b"2147483648",
    b"4294967296",
    b"99999999999999999999",
    b"SIP/2.0",
    b"sip:",
    b"tel:",
    b";tag=",
    b";lr",
    b";rport",
    b";branch=z9hG4bK",
    b";q=2",
    b";handling=optional",
    b"multipart/mixed;boundary=\"",
];

/// Header fields that a message may get once more, or for the first time.
const FIELDS: [&str; 22] = [
    "Via: SIP/2.0/UDP 192.0.2.7;branch=z9hG4bKmore;rport",
    "v: SIP/2.0/TCP [2001:db8::1]:5060;received=[2001:db8::2]",
    "Content-Length: 65535",
    "l: 0",
    "CSeq: 2147483648 INVITE",
    "Max-Forwards: 0",
    "Contact: *",
    "m: <sip:a@[::ffff:192.0.2.1]:0>;expires=99999999999;q=1.001",
    "Record-Route: <sip:192.0.2.9;lr>, <sip:x",
    "Route: <sip:198.51.100.1;lr>",
    "Require: 100rel, timer, replaces",
    "Supported: 100rel,,timer",
    "Session-Expires: 4294967296;refresher=both",
    "Min-SE: 1",
    "RSeq: 0",
    "RAck: 1 1 1 1 INVITE",
    "Refer-To: <sip:x?Replaces=%0d%0aVia:%20x>",
    "Event: refer;id=99999999999999",
    "Subscription-State: terminated;retry-after=-1",
    "Authorization: Digest username=\"\\\"\", nonce=, nc=fffffffff",
    "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\", qop=\"auth,auth-int\", algorithm=MD5-sess",
    "Content-Type: multipart/mixed;boundary=x",
];

fn seeds() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = cases().into_iter().map(|case| case.bytes).collect();
    for method in ["INVITE", "ACK", "BYE", "CANCEL", "INFO", "UPDATE", "PRACK", "REFER", "NOTIFY", "MESSAGE"]
    {
        for tag in ["", "x"] {
            seeds.push(request(&format!("1 {method}"), "seed", tag, "").into_bytes());
        }
    }
    seeds
}

/// One message of the seeds with one to four things wrong.
fn mutated(random: &mut fastrand::Rng, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut message = seeds[random.usize(..seeds.len())].clone();
    for _ in 0..random.usize(1..5) {
        let at = random.usize(..=message.len());
        match random.u8(..8) {
            0 => message.truncate(at),
            1 => {
                let end = (at + random.usize(..20)).min(message.len());
                message.splice(at..end, POISON[random.usize(..POISON.len())].iter().copied());
            }
            2 => {
                if let Some(byte) = message.get_mut(at) {
                    *byte ^= 1 << random.u8(..8);
                }
            }
            3 => {
                let other = &seeds[random.usize(..seeds.len())];
                let from = random.usize(..=other.len());
                message.splice(at.., other[from..].iter().copied());
            }
            kind => message = with_lines(random, &message, kind),
        }
    }
    message
}

/// The same message with its lines in another way: one more, one less, one twice, one with another value.
fn with_lines(random: &mut fastrand::Rng, message: &[u8], kind: u8) -> Vec<u8> {
    let mut lines: Vec<&[u8]> = message.split(|&byte| byte == b'\n').collect();
    let at = random.usize(..lines.len());
    let changed;
    match kind {
        4 => lines.insert(at, lines[at]),
        5 => drop(lines.remove(at)),
        6 => {
            changed = [FIELDS[random.usize(..FIELDS.len())].as_bytes(), b"\r"].concat();
            lines.insert(at, &changed);
        }
        _ => {
            let line = lines[at];
            let colon = line.iter().position(|&byte| byte == b':').map_or(line.len(), |colon| colon + 1);
            let poison = POISON[random.usize(..POISON.len())].repeat(random.usize(1..300));
            changed = [&line[..colon], &poison, b"\r"].concat();
            lines[at] = &changed;
        }
    }
    lines.join(&b'\n')
}

/// One of the scripts of the fixtures with a byte or two changed, of a call that no other plot is about, and something at
/// random behind it.
fn plot(random: &mut fastrand::Rng, plots: &[Vec<u8>], step: usize) -> Vec<u8> {
    let mut plot = plots[random.usize(..plots.len())].clone();
    for _ in 0..random.usize(..3) {
        let at = random.usize(..plot.len());
        plot[at] = random.u8(..);
    }
    if let [5, call, ..] = &mut plot[..] {
        *call = u8::try_from(step / 8 % 64).unwrap();
    }
    plot.extend((0..random.usize(..24)).map(|_| random.u8(..)));
    plot
}

/// The inputs of a target of `fuzz/`.
fn inputs(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/fuzz").join(target);
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

#[test]
fn p1_mutated_messages_do_no_harm_and_leave_nothing() {
    let seeds = seeds();
    let plots = inputs("endpoint");
    let worlds = match std::env::var("OFFHOOK_SEED") {
        Ok(seed) => vec![seed.parse().unwrap()],
        Err(_) => (0..WORLDS).collect(),
    };
    for seed in worlds {
        let run = std::panic::catch_unwind(|| {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut script = Script::new(epoch());
            for step in 0..DATAGRAMS {
                script.datagram(mutated(&mut random, &seeds));
                if step % 8 == 0 {
                    script.play(&plot(&mut random, &plots, step));
                }
            }
            script.finish();
        });
        assert!(run.is_ok(), "OFFHOOK_SEED={seed}");
    }
}

/// What the fuzzers have found, and what is worth to be played again: see `fixtures/fuzz/README.md`.
#[test]
fn what_the_fuzzers_found_stays_found() {
    let (scripts, messages) = (inputs("endpoint"), inputs("message"));
    assert!(!scripts.is_empty() && !messages.is_empty());
    for bytes in scripts {
        let mut script = Script::new(epoch());
        script.play(&bytes);
        script.finish();
    }
    for bytes in messages {
        let mut script = Script::new(epoch());
        script.datagram(bytes);
        script.finish();
    }
}

/// The fuzzers begin with scripts that reach all there is: each event, each method of ours, and each answer of ours that
/// lets a session be changed or not.
#[test]
fn the_plots_lead_into_every_corner() {
    const ANSWERS: &str = "100 INVITE, 180 INVITE, 183 INVITE, 200 BYE, 200 CANCEL, 200 INFO, 200 INVITE, 200 MESSAGE, \
        200 NOTIFY, 200 OPTIONS, 200 PRACK, 200 UPDATE, 202 REFER, 405 REGISTER, 406 INVITE, 422 INVITE, 422 UPDATE, \
        481 NOTIFY, 486 INVITE, 487 INVITE, 488 INVITE, 488 UPDATE, 491 INVITE, 500 INVITE, 500 UPDATE, 504 UPDATE";
    const METHODS: &str =
        "ACK, BYE, CANCEL, INFO, INVITE, MESSAGE, NOTIFY, OPTIONS, PRACK, REFER, REGISTER, UPDATE";
    const EVENTS: &str = "Acked, Answered, Ended, Gateway, Incoming, Info, Message, Offer, Paged, Provisional, Referred, \
        Registration, Replied, Resolve, Sent, Transfer, Updated";
    let mut seen = HashSet::new();
    for bytes in inputs("endpoint") {
        let mut script = Script::new(epoch());
        script.play(&bytes);
        seen.extend(script.seen);
    }
    let all = [ANSWERS, METHODS, EVENTS].into_iter().flat_map(|list| list.split(", "));
    let missing: Vec<_> = all.filter(|&one| !seen.contains(one)).collect();
    assert!(missing.is_empty(), "{missing:?} of {seen:?}");
}
