//! `admit`, every state and standing against every command, with an expectation of its own: one line per command, one
//! column per standing, written from `call-api.md` §3 and §4.

use std::time::Duration;

use offhook_call::admit::{Denied, Referral, Role, Standing, admit};
use offhook_call::command::{Command, ConnectExtras, Construct, Content, KeySet, Parent, RingMode};
use offhook_call::conference;
use offhook_call::error::Direction;
use offhook_call::id::{CallId, ConferenceId};
use offhook_call::state::State;
use offhook_media::event::{ConnectMode, Kind, RecordFormat};
use proptest::prelude::*;

use crate::rig::{answer, construct, detect, enter, of_conference, open_conference, page, receive, text};

/// `y` is allowed, `.` is not in this state, `d` is not with this direction, `x` is over.
///
/// The columns, for an inbound call and again for an outbound one: Initiated, Answer, Idle, Play, Record, SendDtmf,
/// ReceiveDtmf, Dial, Connect as the first party, Connect as the second, Conf, Released.
const EXPECTED: [(&str, &str, &str); 38] = [
    ("construct for it", "..y........x", "..y........x"),
    ("answer", "y..........x", "dddddddddddx"),
    ("drop", "yyyyyyyyyyyx", "yyyyyyyyyyyx"),
    ("reject", "y..........x", "dddddddddddx"),
    ("redirect", "y..........x", "dddddddddddx"),
    ("ring", "y..........x", "dddddddddddx"),
    ("exists", "yyyyyyyyyyyy", "yyyyyyyyyyyy"),
    ("nop", "yyyyyyyyyyyx", "yyyyyyyyyyyx"),
    ("get", "yyyyyyyyyyyx", "yyyyyyyyyyyx"),
    ("list", "yyyyyyyyyyyy", "yyyyyyyyyyyy"),
    ("play_start", "..y........x", "..y........x"),
    ("play_stop", "...y.......x", "...y.......x"),
    ("record_start", "..y........x", "..y........x"),
    ("record_stop", "....y......x", "....y......x"),
    ("record_pause", "....y......x", "....y......x"),
    ("send_dtmf_start", "..y........x", "..y........x"),
    ("send_dtmf_stop", ".....y.....x", ".....y.....x"),
    ("receive_dtmf_start", "..y........x", "..y........x"),
    ("receive_dtmf_stop", "......y....x", "......y....x"),
    ("connect_start", "..y........x", "..y........x"),
    ("connect_stop", "........y..x", "........y..x"),
    ("conf_enter", "..yyyyy....x", "..yyyyy....x"),
    ("conf_exit", "..........yx", "..........yx"),
    ("transfer", "..y........x", "..y........x"),
    // Nobody asks for a transfer here; the table below is of those that are asked for.
    ("transfer_accept", "...........x", "...........x"),
    ("transfer_decline", "...........x", "...........x"),
    ("transfer_notify", "...........x", "...........x"),
    ("send_message", "..yyyyyyyyyx", "..yyyyyyyyyx"),
    ("detect", "..yyyyyyyyyx", "..yyyyyyyyyx"),
    // Nobody listens here; the table below is of calls that are listened to.
    ("detect stop", "...........x", "...........x"),
    ("node send_message", "yyyyyyyyyyyy", "yyyyyyyyyyyy"),
    ("gateways", "yyyyyyyyyyyy", "yyyyyyyyyyyy"),
    ("conf construct", "yyyyyyyyyyyy", "yyyyyyyyyyyy"),
    ("conf list", "yyyyyyyyyyyy", "yyyyyyyyyyyy"),
    ("conf release", "yyyyyyyyyyyy", "yyyyyyyyyyyy"),
    ("conf kick", "yyyyyyyyyyyy", "yyyyyyyyyyyy"),
    // The other way round, so that no row can be forgotten unseen.
    ("every stop", "...yyyy.y..x", "...yyyy.y..x"),
    ("every start", "..y........x", "..y........x"),
];

const CALL: CallId = CallId(1);
const CONFERENCE: ConferenceId = ConferenceId(2);

fn commands(name: &str) -> Vec<Command> {
    let content = || Content { sources: vec!["a.wav".into()] };
    let finish_keys = KeySet::default();
    let max = Duration::from_secs(1);
    let one = match name {
        "construct for it" => {
            let parent = Parent { of: CALL.into(), mode: RingMode::WhileRinging, content: None };
            Command::Construct(Box::new(Construct { parent: Some(parent), ..construct() }))
        }
        "answer" => answer(CALL),
        "drop" => Command::Drop { call: CALL, cause: 603 },
        "reject" => Command::Reject { call: CALL, cause: 603 },
        "redirect" => Command::Redirect { call: CALL, target: "192.0.2.1".to_owned() },
        "ring" => Command::Ring { call: CALL, content: Some(content()) },
        "exists" => Command::Exists { call: CALL },
        "nop" => Command::Nop { call: CALL },
        "get" => Command::Get { call: CALL },
        "list" => Command::List { state: None, after: None, limit: 1 },
        "play_start" => Command::PlayStart { call: CALL, content: content(), finish_keys, repeat: 0 },
        "play_stop" => Command::PlayStop { call: CALL },
        "record_start" => Command::RecordStart {
            call: CALL,
            max,
            beep: false,
            file: "a.wav".to_owned(),
            format: RecordFormat::Alaw,
            finish_keys,
            overwrite: false,
            trim_silence: false,
            mute_digits: false,
        },
        "record_stop" => Command::RecordStop { call: CALL },
        "record_pause" => Command::RecordPause { call: CALL, is_paused: true },
        "send_dtmf_start" => Command::SendDtmfStart { call: CALL, digits: Vec::new() },
        "send_dtmf_stop" => Command::SendDtmfStop { call: CALL },
        "receive_dtmf_start" => Command::ReceiveDtmfStart(Box::new(receive(CALL, None))),
        "receive_dtmf_stop" => Command::ReceiveDtmfStop { call: CALL },
        "connect_start" => Command::ConnectStart {
            call: CALL,
            other: CallId(2),
            max,
            mode: ConnectMode::Both,
            extras: ConnectExtras::default(),
        },
        "connect_stop" => Command::ConnectStop { call: CALL },
        "transfer" => Command::Transfer { call: CALL, to_uri: "sip:100@192.0.2.3".to_owned() },
        "transfer_accept" => Command::TransferAccept { call: CALL },
        "transfer_decline" => Command::TransferDecline { call: CALL, cause: 603 },
        "transfer_notify" => Command::TransferNotify { call: CALL, sip_status: 200 },
        "send_message" => Command::SendMessage { call: CALL, body: text("hello") },
        "detect" => detect(CALL, &[Kind::Voice]),
        "detect stop" => Command::DetectStop { call: CALL },
        "node send_message" => page("sip:100@192.0.2.9"),
        "gateways" => Command::Gateways,
        "conf_enter" => enter(CALL, CONFERENCE),
        "conf_exit" => Command::ConfExit { call: CALL, conference: CONFERENCE },
        "conf construct" => open_conference(1),
        "conf list" => Command::ConferenceList { after: None, limit: 1 },
        "conf release" => of_conference(CONFERENCE, conference::Command::Release),
        "conf kick" => of_conference(CONFERENCE, conference::Command::Kick { call: CALL, cause: 603 }),
        "every stop" => return ending_in("_stop"),
        "every start" => return ending_in("_start"),
        other => panic!("no such command: {other}"),
    };
    vec![one]
}

fn ending_in(suffix: &str) -> Vec<Command> {
    EXPECTED
        .iter()
        .filter(|(name, ..)| name.ends_with(suffix))
        .flat_map(|(name, ..)| commands(name))
        .collect()
}

fn standing(state: State, direction: Direction, role: Role) -> Standing {
    Standing {
        state,
        direction,
        role,
        child: None,
        transferring: false,
        detecting: false,
        referral: Referral::None,
        entering: false,
    }
}

fn standings(direction: Direction) -> Vec<Standing> {
    let own = |state| standing(state, direction, Role::Own);
    let states = [
        State::Initiated,
        State::Answer,
        State::Idle,
        State::Play,
        State::Record,
        State::SendDtmf,
        State::ReceiveDtmf,
        State::Dial,
        State::Connect,
    ];
    let mut all: Vec<Standing> = states.into_iter().map(own).collect();
    all.push(standing(State::Connect, direction, Role::SecondParty));
    all.push(own(State::Conf));
    all.push(own(State::Released));
    all
}

fn verdict(standing: Standing, command: &Command) -> char {
    match admit(standing, command) {
        Ok(()) => 'y',
        Err(Denied::Direction) => 'd',
        Err(Denied::Over) => 'x',
        Err(Denied::State { .. } | Denied::Standing(_)) => '.',
    }
}

#[test]
fn every_state_and_every_command() {
    for (name, inbound, outbound) in EXPECTED {
        for (direction, expected) in [(Direction::Inbound, inbound), (Direction::Outbound, outbound)] {
            let found: String = standings(direction)
                .into_iter()
                .map(|standing| {
                    let verdicts = commands(name).into_iter().map(|command| verdict(standing, &command));
                    // Of several commands the best verdict counts.
                    verdicts.max_by_key(|&verdict| verdict == 'y').expect("a command")
                })
                .collect();
            assert_eq!(found, expected, "{name} of a call {direction:?}");
        }
    }
}

#[test]
fn the_denial_names_the_states_that_would_do() {
    let denied =
        |state, name: &str| match admit(standing(state, Direction::Inbound, Role::Own), &commands(name)[0]) {
            Err(Denied::State { allowed }) => allowed,
            other => panic!("{other:?}"),
        };
    assert_eq!(denied(State::Play, "play_start"), [State::Idle]);
    assert_eq!(denied(State::Idle, "record_stop"), [State::Record]);
    assert_eq!(denied(State::Idle, "answer"), [State::Initiated]);
}

#[test]
fn what_is_denied_for_another_reason_than_the_state_says_which() {
    let idle = standing(State::Idle, Direction::Inbound, Role::Own);
    for (name, why) in [
        ("detect stop", "nothing is being detected"),
        ("transfer_accept", "the far end asks for no transfer"),
        ("transfer_decline", "the far end asks for no transfer"),
        ("transfer_notify", "no transfer was accepted"),
    ] {
        assert_eq!(admit(idle, &commands(name)[0]), Err(Denied::Standing(why)), "{name}");
    }
    let accepted = Standing { referral: Referral::Accepted, ..idle };
    let why = "the transfer was accepted before";
    assert_eq!(admit(accepted, &commands("transfer_accept")[0]), Err(Denied::Standing(why)));
}

/// What a transfer that is asked for allows, whatever the call is doing: the columns are those above, of an inbound call.
#[test]
fn a_transfer_that_the_far_end_asks_for() {
    for (referral, name, expected) in [
        (Referral::Offered, "transfer_accept", "..yyyyyyyyyx"),
        (Referral::Offered, "transfer_decline", "..yyyyyyyyyx"),
        (Referral::Offered, "transfer_notify", "...........x"),
        (Referral::Accepted, "transfer_accept", "...........x"),
        (Referral::Accepted, "transfer_decline", "...........x"),
        (Referral::Accepted, "transfer_notify", "..yyyyyyyyyx"),
    ] {
        let standings = standings(Direction::Inbound).into_iter();
        let found: String = standings
            .map(|standing| verdict(Standing { referral, ..standing }, &commands(name)[0]))
            .collect();
        assert_eq!(found, expected, "{name} when {referral:?}");
    }
    let busy = Standing { transferring: true, ..standing(State::Idle, Direction::Inbound, Role::Own) };
    assert_eq!(admit(busy, &commands("transfer")[0]), Err(Denied::Standing("a transfer is under way")));
    assert_eq!(admit(busy, &commands("play_start")[0]), Ok(()));
}

/// A call that dials another may be connected with that one before the answer, and with no other; what is told of it does not
/// forget that it could as well be Idle.
#[test]
fn a_call_that_dials_may_connect_with_its_child() {
    let dialling =
        Standing { child: Some(CallId(2)), ..standing(State::Dial, Direction::Inbound, Role::Own) };
    assert_eq!(admit(dialling, &commands("connect_start")[0]), Ok(()));
    let another = Standing { child: Some(CallId(3)), ..dialling };
    let denied = Err(Denied::State { allowed: &[State::Idle] });
    assert_eq!(admit(another, &commands("connect_start")[0]), denied);
    let connected = Standing { state: State::Connect, ..dialling };
    let denied = Err(Denied::State { allowed: &[State::Idle, State::Dial] });
    assert_eq!(admit(connected, &commands("connect_start")[0]), denied);
}

/// What a call that is listened to allows, in the columns above.
#[test]
fn a_call_that_is_listened_to() {
    for (name, expected) in [("detect", "...........x"), ("detect stop", "..yyyyyyyyyx")] {
        let standings = standings(Direction::Inbound).into_iter();
        let found: String = standings
            .map(|standing| verdict(Standing { detecting: true, ..standing }, &commands(name)[0]))
            .collect();
        assert_eq!(found, expected, "{name}");
    }
}

/// What is being stopped for a conference is stopped for no other one; the rest is as ever.
#[test]
fn a_call_that_is_about_to_enter_a_conference() {
    let entering = Standing { entering: true, ..standing(State::Play, Direction::Inbound, Role::Own) };
    let denied = Err(Denied::Standing("it is about to enter a conference"));
    assert_eq!(admit(entering, &commands("conf_enter")[0]), denied);
    assert_eq!(admit(entering, &commands("play_stop")[0]), Ok(()));
    assert_eq!(admit(entering, &commands("drop")[0]), Ok(()));
}

/// All ways in which a call can stand, as far as admission asks: of a call in a state that has no child or no second party there
/// is none.
fn every_standing() -> Vec<Standing> {
    let own = [Direction::Inbound, Direction::Outbound].into_iter().flat_map(standings);
    let children = own.flat_map(|standing| {
        let dials = matches!(standing.state, State::Dial | State::Connect) && standing.role == Role::Own;
        let child = [None, Some(CallId(2)), Some(CallId(3))];
        child.into_iter().take(if dials { 3 } else { 1 }).map(move |child| Standing { child, ..standing })
    });
    let flags = children.flat_map(|standing| {
        (0..8).map(move |bits| {
            let [transferring, detecting, entering] = [1, 2, 4].map(|bit| bits & bit != 0);
            Standing { transferring, detecting, entering, ..standing }
        })
    });
    let referrals = [Referral::None, Referral::Offered, Referral::Accepted];
    flags.flat_map(|standing| referrals.map(|referral| Standing { referral, ..standing })).collect()
}

fn any_standing() -> impl Strategy<Value = Standing> {
    prop::sample::select(every_standing())
}

fn every_command() -> Vec<Command> {
    EXPECTED
        .iter()
        .filter(|(name, ..)| !name.starts_with("every"))
        .flat_map(|(name, ..)| commands(name))
        .collect()
}

fn any_command() -> impl Strategy<Value = Command> {
    prop::sample::select(every_command())
}

/// Whoever does what a denial says gets in, and nowhere else: of every way to stand and every command, the states that a denial
/// names are those in which the same call, for which the same call is dialled where one can be, is allowed the same.
#[test]
fn the_states_of_a_denial_allow_it_and_no_others() {
    let mut denials = 0;
    for standing in every_standing() {
        for command in every_command() {
            let allowed: &[State] = match admit(standing, &command) {
                Err(Denied::State { allowed }) => allowed,
                // Then no state would do.
                Err(Denied::Standing(_)) => &[],
                _ => continue,
            };
            denials += 1;
            assert!(!allowed.contains(&standing.state), "{command:?} of {standing:?}: {allowed:?}");
            for state in State::ALL {
                let role = if state == State::Connect { standing.role } else { Role::Own };
                let child = standing.child.filter(|_| matches!(state, State::Dial | State::Connect));
                let there = admit(Standing { state, role, child, ..standing }, &command);
                assert_eq!(
                    there.is_ok(),
                    allowed.contains(&state),
                    "{command:?} of {standing:?}: {allowed:?}, but in {state:?} {there:?}"
                );
            }
        }
    }
    assert!(denials > 10_000, "{denials}");
}

proptest! {
    /// A call that is not over can always be ended.
    #[test]
    fn drop_is_allowed_before_released(standing in any_standing()) {
        let allowed = admit(standing, &Command::Drop { call: CALL, cause: 603 }).is_ok();
        prop_assert_eq!(allowed, standing.state != State::Released);
    }

    /// The second party of a connection does nothing of its own.
    #[test]
    fn the_second_party_is_bound(command in any_command()) {
        let second = standing(State::Connect, Direction::Inbound, Role::SecondParty);
        let may = matches!(
            command,
            Command::Drop { .. } | Command::Get { .. } | Command::Nop { .. } | Command::Exists { .. }
            | Command::List { .. } | Command::SendMessage { .. } | Command::SendPage(_)
            | Command::Gateways | Command::DetectStart { .. } | Command::ConferenceConstruct(_)
            | Command::ConferenceList { .. } | Command::Conference { .. }
        );
        prop_assert_eq!(admit(second, &command).is_ok(), may);
    }
}

#[test]
fn the_transition_table_is_that_of_the_specification() {
    let ways = "Initiated-Answer Initiated-Idle Initiated-Released Answer-Idle Answer-Released \
        Idle-Play Idle-Record Idle-SendDtmf Idle-ReceiveDtmf Idle-Dial Idle-Connect Idle-Conf Idle-Released \
        Play-Idle Record-Idle SendDtmf-Idle ReceiveDtmf-Idle Dial-Idle Dial-Connect Connect-Idle Connect-Dial Conf-Idle";
    let ways: Vec<&str> = ways.split_whitespace().collect();
    for from in State::ALL {
        for to in State::ALL {
            let way = format!("{}-{}", from.name(), to.name());
            assert_eq!(from.may_become(to), ways.contains(&way.as_str()), "{way}");
        }
        assert_eq!(State::from_name(from.name()), Some(from));
    }
}
