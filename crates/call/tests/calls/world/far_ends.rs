//! Far ends and the SIP user agent between them and us, as its vocabulary promises it: one `Ended` per session, its
//! last; and its own promise held against the calls: no command that the session's state does not allow.

use std::collections::{HashMap, HashSet};

use offhook_sip::event::{Body, Command, EndCause, Event, Refuser, SessionId};

use super::{Happening, World};
use crate::rig::{ALAW, G729, OFFER, incoming, sdp};

/// Where a session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Session {
    /// Their INVITE is not answered.
    Ringing { offered: bool },
    /// Our 200 is not acknowledged.
    Answering { offered: bool },
    /// Our INVITE is not answered.
    Calling { heard: bool },
    /// Answered.
    Up,
    /// We have ended it.
    Closing,
}

#[derive(Debug, Default)]
pub(super) struct FarEnds {
    sessions: HashMap<SessionId, Session>,
    /// An offer that is not answered yet, and whether it has a description.
    offered: Option<(SessionId, bool)>,
    callers: u64,
    /// Who was asked to call somebody else, and has not said how that ended.
    pub(super) transferring: HashSet<SessionId>,
    /// Who asked for that itself, and whether it was accepted.
    pub(super) referring: HashMap<SessionId, bool>,
}

impl FarEnds {
    pub(super) fn is_up(&self, session: SessionId) -> bool {
        self.sessions.get(&session) == Some(&Session::Up)
    }
}

impl FarEnds {
    /// After each step: every offer has been answered at once.
    pub(super) fn step(&self) {
        assert_eq!(self.offered, None, "not answered");
    }
}

impl World {
    /// A caller calls.
    pub(super) fn caller(&mut self) {
        self.far_ends.callers += 1;
        let number = self.far_ends.callers;
        let body = match self.rng.u8(..20) {
            0 => None,
            1 => Some(G729),
            2 => Some("hello"),
            3 => Some(ALAW),
            _ => Some(OFFER),
        };
        let session = SessionId::Inbound(number);
        self.far_ends.sessions.insert(session, Session::Ringing { offered: body.is_some() });
        if self.chance(15) {
            self.soon(8_000, Happening::HangUp(session));
        }
        if self.chance(20) {
            self.soon(5_000, Happening::Offer(session));
        }
        self.calls.sip(self.now(), Event::Incoming(Box::new(incoming(number, body))));
    }

    /// A description, not always a good one.
    fn description(&mut self) -> Option<Body> {
        match self.rng.u8(..20) {
            0 => None,
            1 => Some(sdp(G729)),
            2 => Some(sdp("hello")),
            3..=6 => Some(sdp(ALAW)),
            7..=8 => Some(sdp(&format!("{OFFER}a=sendonly\r\n"))),
            9 => Some(sdp(&OFFER.replace("c=IN IP4 192.0.2.7", "c=IN IP4 0.0.0.0"))),
            10 => Some(sdp(&OFFER.replace("8 0 101", "0 96").replace(":101", ":96"))),
            _ => Some(sdp(OFFER)),
        }
    }

    pub(super) fn tell_far_end(&mut self, command: Command) {
        match command {
            Command::Invite(invite) => self.called(invite.session),
            Command::Answer { session, .. } => {
                let Some(&Session::Ringing { offered }) = self.far_ends.sessions.get(&session) else {
                    panic!("answered: {session:?}");
                };
                self.far_ends.sessions.insert(session, Session::Answering { offered });
                if self.chance(90) {
                    self.soon(500, Happening::Ack(session));
                } else {
                    self.later(32_000, Happening::NoAck(session));
                }
            }
            Command::Progress { session, status, body } => {
                let early = if body.is_some() { " with an answer" } else { "" };
                self.checks.saw(format!("told {status}{early}"));
                let found = self.far_ends.sessions.get(&session);
                assert!(matches!(found, Some(Session::Ringing { .. })), "rung: {session:?} {found:?}");
            }
            Command::Reject { session, status, .. } => {
                assert!((300..700).contains(&status));
                self.close(session, |session| matches!(session, Session::Ringing { .. }));
            }
            Command::Accept { session, .. } => {
                let offered = self.far_ends.offered.take().expect("an offer");
                assert_eq!(offered.0, session);
                let what = if offered.1 { "offer" } else { "none" };
                self.checks.saw(format!("accepted {what}"));
                if !offered.1 {
                    self.soon(500, Happening::AckChange(session));
                }
            }
            Command::Refuse { session, status, .. } => {
                let offered = self.far_ends.offered.take().expect("an offer");
                assert_eq!(offered.0, session);
                self.checks.saw(format!("refused {status}"));
            }
            Command::Cancel { session, .. } => {
                self.close(session, |session| matches!(session, Session::Calling { .. }));
            }
            Command::Bye { session, .. } => {
                self.close(session, |session| matches!(session, Session::Up | Session::Answering { .. }));
            }
            other => self.tell_far_end_beside(other),
        }
    }

    fn close(&mut self, session: SessionId, allowed: fn(Session) -> bool) {
        let found = self.far_ends.sessions.get(&session).copied();
        assert!(found.is_some_and(allowed), "ended by us: {session:?} {found:?}");
        self.far_ends.sessions.insert(session, Session::Closing);
        self.soon(1_000, Happening::Rest(session));
    }

    /// We call, and the far end decides what it will do.
    fn called(&mut self, session: SessionId) {
        let before = self.far_ends.sessions.insert(session, Session::Calling { heard: false });
        assert!(before.is_none(), "{session:?} called twice");
        if self.chance(2) {
            return self.later(0, Happening::HangUp(session));
        }
        self.later(0, Happening::Sent(session));
        if self.chance(20) {
            self.soon(6_000, Happening::Offer(session));
        }
        for _ in 0..self.rng.u8(..3) {
            self.soon(4_000, Happening::Provisional(session));
        }
        match self.rng.u8(..10) {
            0..=5 => self.soon(6_000, Happening::Answered(session)),
            6..=7 => self.soon(6_000, Happening::HangUp(session)),
            8 => self.later(32_000, Happening::HangUp(session)),
            // It never decides.
            _ => {}
        }
    }

    pub(super) fn far_end(&mut self, happening: Happening) {
        let (Happening::Sent(session)
        | Happening::Provisional(session)
        | Happening::Answered(session)
        | Happening::Ack(session)
        | Happening::NoAck(session)
        | Happening::Info(session)
        | Happening::Offer(session)
        | Happening::AckChange(session)
        | Happening::HangUp(session)
        | Happening::Rest(session)) = happening
        else {
            unreachable!("sorted by `happen`");
        };
        let Some(&state) = self.far_ends.sessions.get(&session) else { return };
        match (happening, state) {
            (Happening::Sent(_), Session::Calling { .. }) => {
                self.say(Event::Sent { session, call_id: format!("{session:?}"), route: 0 });
            }
            (Happening::Provisional(_), Session::Calling { .. }) => {
                self.far_ends.sessions.insert(session, Session::Calling { heard: true });
                let status = *self.rng.choice(&[180, 181, 183]).expect("three");
                let body = if status == 183 { self.description() } else { None };
                self.say(Event::Provisional { session, status, body });
            }
            (Happening::Answered(_), Session::Calling { .. }) => {
                self.far_end_up(session, Event::Answered { session, body: None, also_rang: Vec::new() })
            }
            (Happening::Ack(_), Session::Answering { .. }) => {
                self.far_end_up(session, Event::Acked { session, body: None });
            }
            (Happening::NoAck(_), Session::Answering { .. }) => self.over(session, EndCause::NoAck),
            (Happening::Info(_), Session::Up) => {
                let key = *self.rng.choice(b"0123456789*#x").expect("thirteen");
                let bytes = format!("Signal={}\r\nDuration=100\r\n", char::from(key)).into_bytes();
                let body = Body { content_type: "application/dtmf-relay".to_owned(), bytes };
                self.say(Event::Info { session, body });
            }
            // Nobody changes what we are ending; the user agent refuses that by itself.
            (Happening::Offer(_), Session::Closing) => {}
            (Happening::Offer(_), state) => {
                if state == Session::Up {
                    self.soon(20_000, Happening::Offer(session));
                }
                // Before the answer it can be an UPDATE only, which has an offer.
                let body = self.description().or_else(|| (state != Session::Up).then(|| sdp(OFFER)));
                self.far_ends.offered = Some((session, body.is_some()));
                self.say(Event::Offer { session, body });
            }
            (Happening::AckChange(_), Session::Up) => {
                let body = self.description();
                self.say(Event::Acked { session, body });
            }
            (Happening::HangUp(_), state) => self.hung_up(session, state),
            (Happening::Rest(_), Session::Closing) => {
                let cause = if self.chance(90) { EndCause::Local } else { EndCause::Bye { reason: None } };
                self.over(session, cause);
            }
            // Overtaken; the 200 that crosses our CANCEL is told all the same.
            (Happening::Answered(_), Session::Closing) => {
                self.say(Event::Answered { session, body: None, also_rang: Vec::new() })
            }
            _ => {}
        }
    }

    fn far_end_up(&mut self, session: SessionId, event: Event) {
        let needs_description = match self.far_ends.sessions.insert(session, Session::Up) {
            Some(Session::Answering { offered }) => !offered,
            _ => true,
        };
        let description = if needs_description { self.description() } else { None };
        let event = match event {
            Event::Acked { session, .. } => Event::Acked { session, body: description },
            _ => Event::Answered { session, body: description, also_rang: Vec::new() },
        };
        if self.chance(70) {
            self.soon(60_000, Happening::HangUp(session));
        }
        if self.chance(20) {
            self.soon(20_000, Happening::Info(session));
            self.soon(20_000, Happening::Message(session));
            self.soon(20_000, Happening::Refer(session));
        }
        if self.chance(40) {
            self.soon(10_000, Happening::Offer(session));
        }
        self.say(event);
    }

    fn hung_up(&mut self, session: SessionId, state: Session) {
        let cause = match state {
            Session::Ringing { .. } => EndCause::Cancelled { reason: None },
            Session::Answering { .. } if self.rng.bool() => EndCause::Cancelled { reason: None },
            Session::Answering { .. } => EndCause::Bye { reason: None },
            Session::Up if self.chance(10) => EndCause::Lost,
            Session::Up => EndCause::Bye { reason: None },
            Session::Calling { heard } => {
                let (status, by) = match heard {
                    true => (486, Refuser::Peer),
                    false => *self
                        .rng
                        .choice(&[(408, Refuser::Us), (503, Refuser::Us), (404, Refuser::Peer)])
                        .expect("three"),
                };
                EndCause::Refused {
                    status,
                    phrase: String::new(),
                    by,
                    retry_after: None,
                    reason: None,
                    contacts: Vec::new(),
                }
            }
            Session::Closing => return,
        };
        self.over(session, cause);
    }

    fn over(&mut self, session: SessionId, cause: EndCause) {
        self.far_ends.sessions.remove(&session);
        self.far_ends.referring.remove(&session);
        self.transfer_is_over(session);
        self.say(Event::Ended { session, cause });
    }

    pub(super) fn say(&mut self, event: Event) {
        self.calls.sip(self.now(), event);
    }
}
