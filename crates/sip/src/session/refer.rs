//! A transfer that we ask the peer for: REFER (RFC 3515), and the subscription to its progress that comes with it (RFC
//! 6665). The peer calls somebody else, and tells us by NOTIFY what came of it.
//!
//! ```text
//!          refer            2xx to REFER              NOTIFY 1xx
//!  Idle ──────────► Asked ────────────────► Accepted ───────────┐
//!   ▲   REFER         │                      │  ▲                │
//!   │                 │                      │  └────────────────┘
//!   └─────────────────┴──────────────────────┘ the last word, told once:
//!      a refusal · no subscription (RFC 4488) · NOTIFY 200-699 · NOTIFY terminated · silence · the end of the call
//! ```
//!
//! A NOTIFY may overtake the 2xx (RFC 6665 §4.1.2.4). What the peer still sends after the last word is refused with 481,
//! which ends the subscription on its side too.

use std::time::{Duration, Instant};

use super::lane::{Done, Errand, Purpose, Sender};
use crate::dialog::Dialog;
use crate::event::{Event, Header};
use crate::message::{Fault, Message, Name, Params, cut, number, phrase, status_line};
use crate::uas::Refusal;

/// The event package (RFC 3515 §3).
pub(super) const PACKAGE: &str = "refer";
/// What a NOTIFY of the package carries (RFC 3515 §2.4.5).
pub(super) const SIPFRAG: &str = "message/sipfrag";

/// How long the peer may say nothing between two NOTIFYs: a phone may ring for 3 minutes, the least of a proxy's Timer
/// C (RFC 3261 §16.6), and its last word needs time to come.
const SILENCE: Duration = Duration::from_secs(190);

/// What is told of a transfer when the peer says no more of it.
const NO_NEWS: u16 = 408;
/// What is told of a transfer when the call ends before the peer has said the last word.
const CALL_ENDED: u16 = 487;

/// The transfer of one dialog.
pub(crate) enum Refer {
    /// Nobody was asked, or the last word was told.
    Idle,
    /// The REFER is not answered.
    Asked,
    /// The peer has taken it. `id` is the number of the REFER, by which its NOTIFYs may name it.
    Accepted { id: u32, give_up: Instant },
}

impl Refer {
    pub(crate) fn is_idle(&self) -> bool {
        matches!(self, Self::Idle)
    }

    /// The REFER to this URI (RFC 3515 §2.1), which says in whose name it is made (RFC 3892).
    pub(crate) fn ask(&mut self, dialog: &Dialog, to: &str) -> Errand {
        *self = Self::Asked;
        let header = |name: &str, uri: &str| Header { name: name.to_owned(), value: format!("<{uri}>") };
        let mut headers = vec![header("Refer-To", to)];
        headers.extend(dialog.local_uri().map(|uri| header("Referred-By", &uri)));
        Errand::new(Purpose::Refer, "REFER", headers, None)
    }

    /// The REFER has come to its end.
    pub(crate) fn on_answer(&mut self, sender: &mut Sender<'_>, done: &Done<'_>) {
        if !matches!(self, Self::Asked) {
            // A NOTIFY has overtaken the answer with the last word.
            return;
        }
        let unwatched = done
            .response
            .and_then(|response| response.value(Name::ReferSub))
            .is_some_and(|value| cut(&value, b';').0.eq_ignore_ascii_case(b"false"));
        if (200..300).contains(&done.status) && !unwatched {
            // RFC 6665 §4.1.2.4, Timer N: the first NOTIFY comes at once, or there is no subscription.
            let give_up = sender.now + sender.core.timers().timeout();
            *self = Self::Accepted { id: done.cseq, give_up };
        } else {
            let text = done.response.map_or_else(|| phrase(done.status).to_owned(), Message::phrase);
            self.conclude(sender, done.status, text);
        }
    }

    /// A NOTIFY inside the dialog: how it is refused, if it is.
    pub(crate) fn on_notify(
        &mut self,
        sender: &mut Sender<'_>,
        notify: &Message,
    ) -> Result<(), Refusal<'static>> {
        let id = subscription_of(notify)?;
        let mine = match *self {
            Self::Idle => false,
            Self::Asked => true,
            Self::Accepted { id: own, .. } => id.is_none_or(|id| id == own),
        };
        if !mine {
            return Err(Refusal::of(481));
        }
        let is_over = is_terminated(notify)?;
        match frag(notify)? {
            Some((status, text)) if status >= 200 => self.conclude(sender, status, text),
            _ if is_over => self.conclude(sender, NO_NEWS, phrase(NO_NEWS).to_owned()),
            Some((status, phrase)) => {
                self.renew(sender);
                sender.core.tell(Event::Transfer { session: sender.session, status, phrase });
            }
            None => self.renew(sender),
        }
        Ok(())
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Accepted { give_up, .. } => Some(*give_up),
            Self::Idle | Self::Asked => None,
        }
    }

    pub(crate) fn on_deadline(&mut self, sender: &mut Sender<'_>) {
        if self.deadline().is_some_and(|give_up| give_up <= sender.now) {
            self.conclude(sender, NO_NEWS, phrase(NO_NEWS).to_owned());
        }
    }

    /// The call ends.
    pub(crate) fn abandon(&mut self, sender: &mut Sender<'_>) {
        if !self.is_idle() {
            self.conclude(sender, CALL_ENDED, phrase(CALL_ENDED).to_owned());
        }
    }

    fn renew(&mut self, sender: &Sender<'_>) {
        if let Self::Accepted { give_up, .. } = self {
            *give_up = sender.now + SILENCE;
        }
    }

    /// The last word.
    fn conclude(&mut self, sender: &mut Sender<'_>, status: u16, phrase: String) {
        *self = Self::Idle;
        sender.core.tell(Event::Transfer { session: sender.session, status, phrase });
    }
}

/// Which subscription of the package a NOTIFY is of, if it says so (RFC 3515 §2.4.6).
fn subscription_of(notify: &Message) -> Result<Option<u32>, Refusal<'static>> {
    let bad_event = || Refusal::with(489, "Allow-Events", PACKAGE);
    let event = notify.value(Name::Event).ok_or_else(bad_event)?;
    let (package, params) = cut(&event, b';');
    if !package.eq_ignore_ascii_case(PACKAGE.as_bytes()) {
        return Err(bad_event());
    }
    let params = params.map_or_else(|| Some(Params::default()), Params::parse);
    let params = params.ok_or_else(|| bad("Bad Event"))?;
    match params.get("id") {
        None => Ok(None),
        Some(id) => number(id.as_bytes(), u32::MAX).map(Some).ok_or_else(|| Refusal::of(481)),
    }
}

/// Whether the NOTIFY says that it is the last one (RFC 6665 §4.1.3).
fn is_terminated(notify: &Message) -> Result<bool, Refusal<'static>> {
    let state = notify.value(Name::SubscriptionState).ok_or_else(|| bad("Missing Subscription-State"))?;
    Ok(cut(&state, b';').0.eq_ignore_ascii_case(b"terminated"))
}

/// The status line that the NOTIFY carries. RFC 3515 §2.4.5 wants one in each; those that say only how the subscription
/// stands are seen in the field, and do no harm.
fn frag(notify: &Message) -> Result<Option<(u16, String)>, Refusal<'static>> {
    let Some(body) = notify.body() else { return Ok(None) };
    if !cut(body.content_type.as_bytes(), b';').0.eq_ignore_ascii_case(SIPFRAG.as_bytes()) {
        return Err(Refusal::with(415, "Accept", SIPFRAG));
    }
    status_line(&body.bytes).map(Some).ok_or_else(|| bad("Bad Sipfrag"))
}

fn bad(phrase: &'static str) -> Refusal<'static> {
    Refusal::from_fault(Fault::bad(phrase))
}
