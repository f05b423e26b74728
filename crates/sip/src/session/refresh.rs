//! The session timer (RFC 4028): a value with one deadline. What asks for it, what is agreed, and when the session is to
//! be refreshed or given up.
//!
//! ```text
//!        agreed by a 2xx                     half of it                     expiry − min(32 s, a third of it)
//!   ──────────┬─────────────────────────────────┼────────────────────────────────────────┼──────────►
//!             └─ both sides start to count      └─ the refresher refreshes the session   └─ nobody has: BYE
//! ```
//!
//! The roles are agreed anew in every transaction (§7.1, §9): `uac` is who sent that request, not who made the call.

use std::time::{Duration, Instant};

use crate::config::SessionTimer;
use crate::event::Header;
use crate::message::{Message, Name, Refresher, SessionExpires};

/// No interval is shorter (§4).
const SHORTEST: Duration = Duration::from_secs(90);
/// How long before its expiry a session is given up, at most (§10).
const MARGIN: Duration = Duration::from_secs(32);
/// How many 422 one request is sent again for: every proxy on the way may have a minimum of its own.
const MAX_GROWTHS: u8 = 8;

/// Who refreshes a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Us,
    Peer,
}

/// What a 2xx of ours agrees to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Agreed {
    interval: Duration,
    side: Side,
    /// Whether the peer knows of session timers at all.
    knows: bool,
}

impl Agreed {
    /// The headers of our 2xx (§9). We are the `uas` of it.
    pub(super) fn headers(self) -> Vec<(&'static str, String)> {
        let refresher = match self.side {
            Side::Us => "uas",
            Side::Peer => "uac",
        };
        let expires = format!("{};refresher={refresher}", self.interval.as_secs());
        let mut headers = vec![("Session-Expires", expires)];
        if self.knows {
            headers.push(("Require", "timer".to_owned()));
        }
        headers
    }
}

/// Why a request cannot be accepted because of its session timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadTimer {
    /// 422: not below this.
    TooSmall(Duration),
    /// 400.
    Malformed,
}

impl BadTimer {
    /// Status, reason phrase and header of the refusal.
    pub(crate) fn refusal(self) -> (u16, Option<&'static str>, Option<(&'static str, String)>) {
        match self {
            Self::TooSmall(min) => (422, None, Some(("Min-SE", min.as_secs().to_string()))),
            Self::Malformed => (400, Some("Bad Session-Expires"), None),
        }
    }
}

/// What we answer to the session timer of a peer's INVITE or UPDATE (§9, table 2); `None` where there is none.
pub(super) fn judge(config: &SessionTimer, request: &Message) -> Result<Option<Agreed>, BadTimer> {
    let min = config.min.max(SHORTEST);
    let knows = request.lists(Name::Supported, "timer") || request.lists(Name::Require, "timer");
    let peers_min = request.min_se().unwrap_or_default();
    let Some(asked) = request.session_expires() else {
        let interval = config.expires.max(min).max(peers_min);
        return Ok(config.request.then_some(Agreed { interval, side: Side::Us, knows }));
    };
    let SessionExpires { interval, refresher } = asked.ok_or(BadTimer::Malformed)?;
    // A proxy may have put it in for a caller that knows nothing of timers; then it is the proxy that reads the 422,
    // and nobody can be made to refresh every second.
    if interval < min {
        return Err(BadTimer::TooSmall(min));
    }
    let interval = interval.min(config.expires.max(min).max(peers_min));
    let side = if knows && refresher == Some(Refresher::Uac) { Side::Peer } else { Side::Us };
    Ok(Some(Agreed { interval, side, knows }))
}

/// Whether a peer's INVITE or UPDATE is to be refused for its session timer.
pub(crate) fn refuse(config: &SessionTimer, request: &Message) -> Option<BadTimer> {
    judge(config, request).err()
}

/// What our INVITEs and UPDATEs ask for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asking {
    /// Whether we ask at all.
    request: bool,
    expires: Duration,
    min: Duration,
    growths: u8,
}

impl Asking {
    pub(super) fn new(config: &SessionTimer) -> Self {
        let min = config.min.max(SHORTEST);
        Self { request: config.request, expires: config.expires.max(min), min, growths: 0 }
    }

    /// The headers of the INVITE that makes the call: who refreshes is the peer's choice (§7.1).
    pub(super) fn headers(&self) -> Vec<Header> {
        if self.request { timer_headers(self.expires.as_secs().to_string(), self.min) } else { Vec::new() }
    }

    /// A 422: asks for what it wants from now on (§7.3). `false` where there is no hope in that.
    pub(super) fn grow(&mut self, refusal: &Message) -> bool {
        let Some(min) = refusal.min_se() else { return false };
        if min <= self.min && min <= self.expires || self.growths == MAX_GROWTHS {
            return false;
        }
        self.growths += 1;
        self.min = self.min.max(min);
        self.expires = self.expires.max(min);
        self.request = true;
        true
    }
}

fn timer_headers(expires: String, min: Duration) -> Vec<Header> {
    let header = |name: &str, value| Header { name: name.to_owned(), value };
    vec![header("Session-Expires", expires), header("Min-SE", min.as_secs().to_string())]
}

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// A refresh of ours.
    Refresh,
    /// The end: nobody has refreshed the session.
    Expiry,
}

/// The session timer of one session.
#[derive(Debug)]
pub(super) struct Refresh {
    asking: Asking,
    running: Option<Running>,
}

#[derive(Clone, Copy, Debug)]
struct Running {
    interval: Duration,
    side: Side,
    /// When we refresh; none while a refresh is on its way, and where the peer does it.
    refresh_at: Option<Instant>,
    give_up: Instant,
}

impl Refresh {
    /// A timer that does not run yet.
    pub(super) fn new(asking: Asking) -> Self {
        Self { asking, running: None }
    }

    /// Our 2xx has been sent.
    pub(super) fn answered(&mut self, now: Instant, agreed: Option<Agreed>) {
        self.running = agreed.map(|agreed| Running::start(now, agreed.interval, agreed.side));
    }

    /// The peer's 2xx to our INVITE or UPDATE has come (§7.2). Without a Session-Expires the session has no timer.
    pub(super) fn accepted(&mut self, now: Instant, response: &Message) {
        let expires = response.session_expires().flatten();
        self.running = expires.map(|SessionExpires { interval, refresher }| {
            let side = if refresher == Some(Refresher::Uas) { Side::Peer } else { Side::Us };
            Running::start(now, interval.max(SHORTEST), side)
        });
    }

    /// The headers of a refresh of ours: we stay the one that refreshes (§7.4).
    pub(super) fn headers(&self) -> Vec<Header> {
        let Some(running) = self.running else { return Vec::new() };
        let interval = running.interval.max(self.asking.min);
        timer_headers(format!("{};refresher=uac", interval.as_secs()), self.asking.min)
    }

    /// A 422 to a refresh. Says whether it can be sent again, with a longer interval.
    pub(super) fn grow(&mut self, refusal: &Message) -> bool {
        if let Some(running) = self.running {
            self.asking.expires = running.interval.max(self.asking.min);
        }
        self.asking.grow(refusal)
    }

    /// A refresh has failed, and is sent again after this; in half of the time that is left, where nothing is said.
    pub(super) fn postpone(&mut self, now: Instant, delay: Option<Duration>) {
        if let Some(running) = &mut self.running
            && running.side == Side::Us
        {
            let rest = running.give_up.saturating_duration_since(now) / 2;
            running.refresh_at = Some(now + delay.unwrap_or(rest));
        }
    }

    /// Nothing is refreshed any more: the session ends.
    pub(super) fn stop(&mut self) {
        self.running = None;
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let Running { refresh_at, give_up, .. } = self.running?;
        Some(refresh_at.map_or(give_up, |at| at.min(give_up)))
    }

    /// What is to be done now. A refresh is told once.
    pub(super) fn due(&mut self, now: Instant) -> Option<Due> {
        let running = self.running.as_mut()?;
        if running.give_up <= now {
            self.running = None;
            return Some(Due::Expiry);
        }
        running.refresh_at.take_if(|at| *at <= now).map(|_| Due::Refresh)
    }
}

impl Running {
    fn start(now: Instant, interval: Duration, side: Side) -> Self {
        let refresh_at = (side == Side::Us).then(|| now + interval / 2);
        Self { interval, side, refresh_at, give_up: now + interval - MARGIN.min(interval / 3) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::epoch;

    fn request(fields: &str) -> Message {
        Message::parse(format!("INVITE sip:a@b SIP/2.0\r\n{fields}\r\n").as_bytes()).unwrap()
    }

    fn config(request: bool) -> SessionTimer {
        SessionTimer { request, expires: Duration::from_secs(1800), min: Duration::from_secs(120) }
    }

    /// RFC 4028 §9, table 2, and the intervals.
    #[test]
    fn what_a_request_gets() {
        let check = |asks: bool, fields: &str, expected: Result<&[&str], BadTimer>| {
            let headers = judge(&config(asks), &request(fields)).map(|agreed| {
                let headers = agreed.map(Agreed::headers).unwrap_or_default();
                headers.into_iter().map(|(name, value)| format!("{name}: {value}")).collect::<Vec<_>>()
            });
            let expected = expected.map(|lines| lines.iter().map(|&line| line.to_owned()).collect());
            assert_eq!(headers, expected, "{fields}");
        };
        let knows = "Supported: 100rel, timer\r\n";
        check(false, "", Ok(&[]));
        check(false, knows, Ok(&[]));
        check(true, "", Ok(&["Session-Expires: 1800;refresher=uas"]));
        check(true, "Min-SE: 3600\r\n", Ok(&["Session-Expires: 3600;refresher=uas"]));
        check(true, knows, Ok(&["Session-Expires: 1800;refresher=uas", "Require: timer"]));
        check(false, "Session-Expires: 600\r\n", Ok(&["Session-Expires: 600;refresher=uas"]));
        check(false, "Session-Expires: 600;refresher=uac\r\n", Ok(&["Session-Expires: 600;refresher=uas"]));
        for (refresher, answer) in [("", "uas"), (";refresher=uac", "uac"), (";refresher=uas", "uas")] {
            let line = format!("Session-Expires: 600;refresher={answer}");
            check(
                false,
                &format!("{knows}Session-Expires: 600{refresher}\r\n"),
                Ok(&[&line, "Require: timer"]),
            );
        }
        check(false, "Session-Expires: 9999\r\n", Ok(&["Session-Expires: 1800;refresher=uas"]));
        check(
            false,
            "Session-Expires: 9999\r\nMin-SE: 2000\r\n",
            Ok(&["Session-Expires: 2000;refresher=uas"]),
        );
        let too_small = Err(BadTimer::TooSmall(Duration::from_secs(120)));
        check(false, "Session-Expires: 120\r\n", Ok(&["Session-Expires: 120;refresher=uas"]));
        check(false, "Session-Expires: 119\r\n", too_small);
        check(false, &format!("{knows}Session-Expires: 0\r\n"), too_small);
        check(false, "Session-Expires: x\r\n", Err(BadTimer::Malformed));
    }

    #[test]
    fn what_is_due_when() {
        let at = |seconds| epoch() + Duration::from_secs(seconds);
        let agreed = |seconds, side| Agreed { interval: Duration::from_secs(seconds), side, knows: true };
        let mut refresh = Refresh::new(Asking::new(&config(true)));
        assert_eq!((refresh.deadline(), refresh.due(at(9999))), (None, None));
        refresh.answered(at(0), Some(agreed(90, Side::Us)));
        assert_eq!(refresh.deadline(), Some(at(45)));
        assert_eq!(
            (refresh.due(at(44)), refresh.due(at(45)), refresh.due(at(45))),
            (None, Some(Due::Refresh), None)
        );
        assert_eq!(refresh.deadline(), Some(at(60)), "90 s less a third");
        refresh.postpone(at(50), None);
        assert_eq!(refresh.deadline(), Some(at(55)));
        assert_eq!(refresh.due(at(60)), Some(Due::Expiry));
        assert_eq!((refresh.deadline(), refresh.due(at(60))), (None, None));
        refresh.answered(at(0), Some(agreed(1800, Side::Peer)));
        assert_eq!(refresh.deadline(), Some(at(1800 - 32)));
        refresh.postpone(at(1), None);
        assert_eq!(refresh.deadline(), Some(at(1800 - 32)), "it is not ours to refresh");
        refresh.stop();
        assert_eq!(refresh.deadline(), None);
    }

    #[test]
    fn a_422_is_obeyed_while_it_asks_for_more() {
        let refusal = |min: &str| Message::parse(format!("SIP/2.0 422 x\r\n{min}\r\n").as_bytes()).unwrap();
        let mut asking = Asking::new(&config(true));
        assert!(asking.grow(&refusal("Min-SE: 3600\r\n")));
        assert_eq!((asking.expires.as_secs(), asking.min.as_secs()), (3600, 3600));
        assert!(!asking.grow(&refusal("Min-SE: 3600\r\n")), "it was given that");
        assert!(!asking.grow(&refusal("")));
        let growths = (3601..).take_while(|min| asking.grow(&refusal(&format!("Min-SE: {min}\r\n")))).count();
        assert_eq!(growths, 7);
    }
}
