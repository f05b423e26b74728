//! Transfers and messages of the far ends, and the SIP user agent's promises of them: the final status of a transfer comes
//! once and before the end of its session, and one is asked for at a time.

use offhook_sip::event::{Body, Command, Event, IncomingMessage, SessionId};

use super::{Happening, World};

impl World {
    pub(super) fn tell_far_end_beside(&mut self, command: Command) {
        match command {
            Command::Request { session, request, .. } => {
                assert!(self.far_ends.is_up(session), "{session:?}");
                self.soon(2_000, Happening::Reply(session, request));
            }
            Command::Refer { session, .. } => {
                assert!(self.far_ends.is_up(session), "{session:?}");
                assert!(self.far_ends.transferring.insert(session), "one at a time");
                self.soon(1_000, Happening::Transfer(session));
            }
            Command::AnswerRefer { session, status } => {
                let before = self.far_ends.referring.insert(session, true);
                assert_eq!(before, Some(false), "answered once: {session:?}");
                if status >= 300 {
                    self.far_ends.referring.remove(&session);
                }
            }
            Command::ReferStatus { session, status } => {
                assert_eq!(self.far_ends.referring.get(&session), Some(&true), "{session:?}");
                if status >= 200 {
                    self.far_ends.referring.remove(&session);
                }
            }
            Command::Unping { .. } | Command::Unregister { .. } => {}
            other => panic!("calls do not ask for {other:?}"),
        }
    }

    pub(super) fn beside(&mut self, happening: Happening) {
        match happening {
            Happening::Message(session) if self.far_ends.is_up(session) => {
                let (from, to) = ("sip:a@192.0.2.7".to_owned(), "sip:b@192.0.2.1".to_owned());
                let body = Body { content_type: "text/plain".to_owned(), bytes: b"hello".to_vec() };
                let (session, gateway) = (Some(session), None);
                self.say(Event::Message(Box::new(IncomingMessage { session, gateway, from, to, body })));
            }
            Happening::Reply(session, request) => {
                let status = *self.rng.choice(&[200, 202, 408, 415, 481]).expect("five");
                self.say(Event::Replied { session, request, status });
            }
            Happening::Transfer(session) if self.far_ends.transferring.contains(&session) => {
                let status = *self.rng.choice(&[100, 180, 200, 408, 486, 603]).expect("six");
                if status >= 200 {
                    self.far_ends.transferring.remove(&session);
                } else {
                    self.soon(4_000, Happening::Transfer(session));
                }
                self.say(Event::Transfer { session, status, phrase: String::new() });
            }
            Happening::Refer(session) if self.far_ends.is_up(session) => {
                self.soon(10_000, Happening::Refer(session));
                if self.far_ends.referring.contains_key(&session) {
                    return;
                }
                self.far_ends.referring.insert(session, false);
                let to = "sip:400@192.0.2.40".to_owned();
                self.say(Event::Referred { session, to, referred_by: None });
            }
            _ => {}
        }
    }

    /// What nobody will say any more of a transfer is said before the session ends.
    pub(super) fn transfer_is_over(&mut self, session: SessionId) {
        if self.far_ends.transferring.remove(&session) {
            self.say(Event::Transfer { session, status: 487, phrase: String::new() });
        }
    }
}
