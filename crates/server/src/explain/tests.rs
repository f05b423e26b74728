use std::net::SocketAddr;

use offhook_call::cause::{Cause, DroppedBy};
use offhook_call::error::Direction;
use offhook_call::event::Released;
use offhook_client::wire::{Step as Told, Way};
use offhook_media::event::{Codec, Negotiated};
use offhook_sip::event::Transport;

use super::*;

const OFFER: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.20\r\ns=-\r\nc=IN IP4 192.0.2.20\r\nt=0 0\r\nm=audio 30000 RTP/AVP 8 0 101\r\n\
                     a=rtpmap:101 telephone-event/8000\r\na=ptime:20\r\n";
const ANSWER: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\nm=audio 20000 RTP/AVP 8 101\r\n\
                      a=rtpmap:101 telephone-event/8000\r\na=ptime:20\r\n";

fn flow() -> Flow {
    let address = |text: &str| text.parse::<SocketAddr>().unwrap();
    let (local, remote) = (address("192.0.2.10:5060"), address("192.0.2.20:5060"));
    Flow { transport: Transport::Udp, local, remote, name: None }
}

fn at(ms: i64) -> UnixMs {
    UnixMs(1_800_000_000_250 + ms)
}

/// A message between tags `them` and `us`; one of ours is From us where it is a request.
fn message(first: &str, (from, to): (&str, &str), cseq: &str, body: &str) -> Vec<u8> {
    let tag = |tag: &str| if tag.is_empty() { String::new() } else { format!(";tag={tag}") };
    format!(
        "{first}\r\nFrom: <sip:1000@192.0.2.20>{}\r\nTo: <sip:2000@192.0.2.10>{}\r\nCall-ID: a84b4c76e66710\r\n\
         CSeq: {cseq}\r\nContent-Type: application/sdp\r\n\r\n{body}",
        tag(from),
        tag(to)
    )
    .into_bytes()
}

struct Rig {
    lines: Timelines,
    requests: u64,
}

impl Rig {
    fn new() -> Self {
        Self { lines: Timelines::new(NodeId::default()), requests: 0 }
    }

    fn receives(&mut self, ms: i64, bytes: &[u8]) {
        self.lines.received(at(ms), flow(), bytes);
    }

    fn sends(&mut self, ms: i64, bytes: Vec<u8>) {
        self.lines.sent(at(ms), &Transmit { flow: flow(), bytes });
    }

    fn tells(&mut self, ms: i64, call: u64, kind: EventKind) {
        self.lines.told(&Event { call: CallId(call), time: at(ms), user_data: None, kind });
    }

    fn becomes(&mut self, ms: i64, call: u64, state: State, prior: Option<State>) {
        let (from_uri, to_uri) = ("sip:1000@192.0.2.20".to_owned(), "sip:2000@192.0.2.10".to_owned());
        let (direction, gateway) = (Direction::Inbound, Some("carrier".into()));
        let parties = Parties { direction, from_uri, from_name: None, to_uri, gateway };
        self.tells(ms, call, EventKind::StateChanged { state, prior, parties: Box::new(parties) });
    }

    fn asks(&mut self, ms: i64, command: &Command) -> RequestId {
        self.requests += 1;
        self.lines.asked(at(ms), RequestId(self.requests), command);
        RequestId(self.requests)
    }

    fn ends(&mut self, ms: i64, call: u64) {
        self.becomes(ms, call, State::Released, Some(State::Idle));
        let released = Released {
            direction: Direction::Inbound,
            from_uri: "sip:1000@192.0.2.20".to_owned(),
            to_uri: "sip:2000@192.0.2.10".to_owned(),
            begin: at(0),
            answer_time: None,
            end: at(ms),
            cause: Cause { by: DroppedBy::User, status: 200 },
            reason: None,
            sip_call_id: "a84b4c76e66710".to_owned(),
            gateway: None,
            lasted: std::time::Duration::from_secs(40),
            talked: Some(std::time::Duration::from_millis(39_100)),
            codec: Some(Codec::Pcma),
            recordings: Vec::new(),
            stats: LegStats {
                packets_sent: 1_955,
                packets_received: 1_950,
                packets_lost: 5,
                ..LegStats::default()
            },
        };
        self.tells(ms, call, EventKind::Released(Box::new(released)));
    }

    fn told(&self, call: u64) -> offhook_client::wire::Explained {
        wire(NodeId::default(), &self.lines.explain(CallId(call), None).expect("a time line"))
    }
}

/// A call that is answered and hung up, as the contract's examples have it.
pub(crate) fn example() -> Explanation {
    let mut rig = Rig::new();
    rig.receives(0, &message("INVITE sip:2000@192.0.2.10 SIP/2.0", ("them", ""), "1 INVITE", OFFER));
    rig.becomes(0, 1, State::Initiated, None);
    rig.lines.handled();
    let answer = Command::Answer {
        call: CallId(1),
        max_answer: std::time::Duration::from_secs(3600),
        user_data: None,
        codec: None,
    };
    let id = rig.asks(800, &answer);
    rig.sends(800, message("SIP/2.0 200 OK", ("them", "us"), "1 INVITE", ANSWER));
    rig.becomes(800, 1, State::Answer, Some(State::Initiated));
    let config = LegConfig::new(Negotiated::plain(Codec::Pcma, "192.0.2.20:30000".parse().unwrap()));
    rig.lines.media(at(800), LegId(1), &config);
    rig.receives(860, &message("ACK sip:2000@192.0.2.10 SIP/2.0", ("them", "us"), "1 ACK", ""));
    rig.becomes(860, 1, State::Idle, Some(State::Answer));
    rig.lines.replied(at(860), id, &Ok(Reply::Done));
    rig.receives(40_000, &message("BYE sip:2000@192.0.2.10 SIP/2.0", ("them", "us"), "2 BYE", ""));
    rig.sends(40_000, message("SIP/2.0 200 OK", ("them", "us"), "2 BYE", ""));
    rig.ends(40_000, 1);
    let trace_id = TraceId::of("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
        .expect("the standard's example");
    Explanation { trace_id, ..rig.lines.explain(CallId(1), None).expect("a time line") }
}

#[test]
fn a_call_that_comes_in_begins_with_its_invite() {
    let told = wire(NodeId::default(), &example());
    let kinds = told.steps.iter().map(|timed| match &timed.step {
        Told::Sip(sip) => {
            let way = if sip.way == Way::In { ">" } else { "<" };
            sip.status.map_or_else(|| format!("{way}{}", sip.method), |status| format!("{way}{status}"))
        }
        Told::Command { method, .. } => method.clone(),
        Told::Reply { method, error } => format!("{method}: {error:?}"),
        Told::State { state, .. } => format!("{state:?}"),
        Told::Event { name, .. } => name.clone(),
        Told::Media(media) => media.codec.clone(),
    });
    let wanted = [
        ">INVITE",
        "Initiated",
        "sys.call.answer",
        "<200",
        "Answer",
        "PCMA",
        ">ACK",
        "Idle",
        "sys.call.answer: None",
        ">BYE",
        "<200",
        "Released",
        "sys.call.on_released",
    ];
    assert_eq!(kinds.collect::<Vec<_>>(), wanted);
    let Told::Sip(invite) = &told.steps[0].step else { panic!("the INVITE") };
    let sdp = invite.sdp.as_ref().expect("an offer");
    assert_eq!(
        (sdp.codecs.join(" "), sdp.port, &*sdp.direction),
        ("PCMA PCMU".to_owned(), 30_000, "sendrecv")
    );
    assert_eq!((told.media.packets_lost, told.left_out), (5, 0));
    assert_eq!((&*told.from_uri, &*told.to_uri), ("sip:**00@192.0.2.20", "sip:**00@192.0.2.10"));
}

/// By way of a proxy a call of ours may come back to us, with the Call-ID that it went out with.
#[test]
fn a_call_to_ourselves_is_two() {
    let mut rig = Rig::new();
    rig.becomes(0, 1, State::Initiated, None);
    let invite = message("INVITE sip:2000@192.0.2.10 SIP/2.0", ("caller", ""), "1 INVITE", OFFER);
    rig.sends(0, invite.clone());
    rig.lines.dialled(CallId(1), "a84b4c76e66710");
    rig.lines.handled();
    rig.receives(1, &invite);
    rig.becomes(1, 2, State::Initiated, None);
    rig.lines.handled();
    let ok = message("SIP/2.0 200 OK", ("caller", "callee"), "1 INVITE", ANSWER);
    rig.sends(2, ok.clone());
    rig.receives(3, &ok);
    let bye = message("BYE sip:1000@192.0.2.20 SIP/2.0", ("callee", "caller"), "1 BYE", "");
    rig.sends(4, bye.clone());
    rig.receives(5, &bye);
    let sip = |call| {
        let ladder = rig.told(call).steps.into_iter().filter_map(|timed| match timed.step {
            Told::Sip(sip) => Some((sip.way, sip.status, sip.method)),
            _ => None,
        });
        ladder.collect::<Vec<_>>()
    };
    let step = |way, status, method: &str| (way, status, method.to_owned());
    assert_eq!(
        sip(1),
        [step(Way::Out, None, "INVITE"), step(Way::In, Some(200), "INVITE"), step(Way::In, None, "BYE")]
    );
    assert_eq!(
        sip(2),
        [step(Way::In, None, "INVITE"), step(Way::Out, Some(200), "INVITE"), step(Way::Out, None, "BYE")]
    );
}

/// Some gateways begin their Call-IDs anew when they are restarted.
#[test]
fn a_call_id_that_comes_again_is_that_of_the_new_call() {
    let mut rig = Rig::new();
    let invite = message("INVITE sip:2000@192.0.2.10 SIP/2.0", ("them", ""), "1 INVITE", OFFER);
    for call in 1..=2 {
        rig.receives(0, &invite);
        rig.becomes(0, call, State::Initiated, None);
        rig.lines.handled();
        // Sent again, it is that of the call that there is.
        rig.receives(1, &invite);
        rig.lines.handled();
        rig.ends(2, call);
    }
    let kept = [1, 2].map(|call| rig.told(call).steps.len());
    assert_eq!(kept, [5, 5], "two INVITEs, two states and the end");
}

#[test]
fn a_call_that_is_placed_begins_with_what_was_asked_for() {
    let mut rig = Rig::new();
    let construct = offhook_call::command::Construct {
        from_uri: "sip:1000@192.0.2.10".to_owned(),
        from_name: None,
        to_uris: vec!["sip:2000@carrier".to_owned()],
        max_answer: std::time::Duration::from_secs(60),
        max_ring: std::time::Duration::from_secs(50),
        user_data: None,
        codecs: Vec::new(),
        proxy: None,
        credentials: None,
        headers: Vec::new(),
        parent: None,
    };
    let id = rig.asks(0, &Command::Construct(Box::new(construct)));
    rig.lines.replied(at(0), id, &Ok(Reply::Constructed { call: CallId(1), user_data: None }));
    rig.becomes(0, 1, State::Initiated, None);
    rig.sends(0, message("INVITE sip:2000@192.0.2.20 SIP/2.0", ("us", ""), "1 INVITE", OFFER));
    rig.lines.dialled(CallId(1), "a84b4c76e66710");
    rig.lines.handled();
    rig.receives(1, &message("SIP/2.0 180 Ringing", ("us", "them"), "1 INVITE", ""));
    let steps = rig.told(1).steps;
    assert!(
        matches!(&steps[0].step, Told::Command { method, .. } if method == "sys.call.construct"),
        "{steps:?}"
    );
    assert!(matches!(&steps[1].step, Told::Reply { error: None, .. }), "{steps:?}");
    assert!(
        matches!(&steps[3].step, Told::Sip(sip) if sip.method == "INVITE" && sip.way == Way::Out),
        "{steps:?}"
    );
    assert!(matches!(&steps[4].step, Told::Sip(sip) if sip.status == Some(180)), "{steps:?}");
    assert_eq!(steps.len(), 5);
}

#[test]
fn of_too_many_steps_the_first_and_the_latest_are_kept() {
    let mut rig = Rig::new();
    rig.becomes(0, 1, State::Initiated, None);
    for ms in 1..1_000 {
        rig.tells(ms, 1, EventKind::Hold { held: ms % 2 == 0 });
    }
    let told = rig.told(1);
    assert_eq!((told.steps.len(), told.left_out), (256, 744));
    let times: Vec<i64> = told.steps.iter().map(|timed| timed.time_ms - at(0).0).collect();
    assert_eq!((times[63], times[64], times[255]), (63, 808, 999));
}

#[test]
fn the_calls_that_were_over_first_are_forgotten_first_and_all_of_them_with_their_names() {
    let mut rig = Rig::new();
    let calls = MAX_OVER as u64 + 10;
    for call in 1..=calls {
        rig.becomes(0, call, State::Initiated, None);
        rig.lines.dialled(CallId(call), &format!("id-{call}"));
        rig.ends(1, call);
    }
    assert!(rig.lines.explain(CallId(10), None).is_none() && rig.lines.explain(CallId(11), None).is_some());
    assert_eq!((rig.lines.lines.len(), rig.lines.dialogs.len()), (MAX_OVER, MAX_OVER));
    let all: usize = rig.lines.lines.values().map(|line| line.bytes).sum();
    assert_eq!(rig.lines.bytes, all);
}

/// Descriptions are the largest that a far end can have us keep.
#[test]
fn all_time_lines_have_a_bound_in_bytes() {
    let mut rig = Rig::new();
    let padding = format!("{OFFER}{}", "a=x\r\n".repeat(700));
    for call in 1..=200 {
        rig.becomes(0, call, State::Initiated, None);
        rig.lines.dialled(CallId(call), &format!("id-{call}"));
        let invite = message("INVITE sip:2000@192.0.2.10 SIP/2.0", ("us", ""), "1 INVITE", &padding);
        let invite = String::from_utf8(invite).unwrap().replace("a84b4c76e66710", &format!("id-{call}"));
        for _ in 0..MAX_STEPS {
            rig.sends(0, invite.clone().into_bytes());
        }
    }
    let live = rig.lines.bytes;
    assert!(live > MAX_BYTES / 8 * 7 && live <= MAX_BYTES, "{live}");
    assert!(rig.told(200).left_out > 0, "there is no room for the steps of the last ones");
    rig.ends(1, 1);
    assert!(rig.lines.explain(CallId(1), None).is_none(), "it is over, and gives way to those that live");
    assert!(rig.lines.bytes < live);
}

#[test]
fn a_command_and_its_refusal() {
    let mut rig = Rig::new();
    rig.becomes(0, 1, State::Idle, None);
    let id = rig.asks(5, &Command::PlayStop { call: CallId(1) });
    let allowed: &'static [State] = &[State::Play];
    let refusal = Error::InvalidState { call: CallId(1), state: State::Idle, allowed };
    rig.lines.replied(at(6), id, &Err(refusal));
    let told = rig.told(1);
    let Told::Reply { method, error } = &told.steps[2].step else { panic!("{:?}", told.steps) };
    assert_eq!((&**method, error.as_deref()), ("sys.call.play_stop", Some("invalid_state")));
    assert!(rig.lines.asked.is_empty());
    // Of a call that is not there nothing is kept.
    let id = rig.asks(7, &Command::PlayStop { call: CallId(9) });
    assert!(rig.lines.asked.is_empty() && !rig.lines.lines.contains_key(&CallId(9)), "{id:?}");
}
