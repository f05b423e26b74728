//! What is wrong with a stream that flows, by our books and by the peer's reports.
//!
//! ```text
//!   loss in    every 10 s: the part of what was due that never came (RFC 3550 A.3)    told at the limit, over below half
//!   loss out   each report of the peer: the part it lost since its last one           told at the limit, over below half
//!   one way    media comes and reports come, and for so long none has said that       told once, over when one says so
//!              anything of what we send meanwhile has arrived
//! ```
//! A peer that sends nothing is no case of these (`leg/presence.rs`), and of one that sends no reports nobody can say
//! whether it hears us.

use std::time::{Duration, Instant};

use crate::event::{Alarms, Trouble};
use crate::rtcp::AboutUs;

/// How long loss is counted before it is judged.
const WINDOW: Duration = Duration::from_secs(10);
/// Packets without which nothing is judged, a second of media: of a few one lost is a large part.
const JUDGED: u64 = 50;

/// What is watched of one stream.
#[derive(Debug)]
pub(crate) struct Watch {
    limits: Alarms,
    /// When this window began, with what had come and what had been lost by then.
    window: (Instant, u64, i64),
    is_losing_in: bool,
    is_losing_out: bool,
    is_one_way: bool,
    /// The highest number of ours that the peer has told to have.
    arrived: Option<u32>,
    /// Since when it has not told of any later one, with what had been sent and received by then.
    unheard: (Instant, u64, u64),
    /// Packets sent as of its last report.
    sent: u64,
}

impl Watch {
    pub(crate) fn new(now: Instant, limits: Alarms) -> Self {
        Self {
            limits,
            window: (now, 0, 0),
            is_losing_in: false,
            is_losing_out: false,
            is_one_way: false,
            arrived: None,
            unheard: (now, 0, 0),
            sent: 0,
        }
    }

    pub(crate) fn set_limits(&mut self, limits: Alarms) {
        self.limits = limits;
    }

    /// Time passes, and by now so much has come and been lost.
    pub(crate) fn count(&mut self, now: Instant, received: u64, lost: i64) -> Option<Trouble> {
        let (begin, received_then, lost_then) = self.window;
        if now.saturating_duration_since(begin) < WINDOW {
            return None;
        }
        self.window = (now, received, lost);
        let lost = u64::try_from(lost - lost_then).unwrap_or_default();
        let due = received - received_then + lost;
        if due < JUDGED {
            return None;
        }
        let percent = lost * 100 / due;
        judge(&mut self.is_losing_in, self.limits.loss_percent, percent)
            .map(|percent| Trouble::LossIn { percent })
    }

    /// The peer has reported, on our stream or not, when so much had been sent and received.
    pub(crate) fn reported(
        &mut self,
        now: Instant,
        about_us: Option<AboutUs>,
        sent: u64,
        received: u64,
    ) -> Option<Trouble> {
        let sent_since = sent - std::mem::replace(&mut self.sent, sent);
        let news = about_us.filter(|about_us| Some(about_us.highest) != self.arrived);
        if let Some(AboutUs { fraction_lost, highest, .. }) = news {
            self.arrived = Some(highest);
            self.unheard = (now, sent, received);
            self.is_one_way = false;
            let percent = u64::from(fraction_lost) * 100 / 256;
            let judged = sent_since >= JUDGED;
            let told = judged.then(|| judge(&mut self.is_losing_out, self.limits.loss_percent, percent));
            return told.flatten().map(|percent| Trouble::LossOut { percent });
        }
        let (since, sent_then, received_then) = self.unheard;
        if sent == sent_then {
            // What was not sent cannot have arrived.
            self.unheard = (now, sent, received);
            return None;
        }
        let lasted = now.saturating_duration_since(since);
        let is_long = self.limits.one_way_after.is_some_and(|after| lasted >= after);
        let is_one_way = is_long && sent - sent_then >= JUDGED && received > received_then;
        let is_new = is_one_way && !self.is_one_way;
        self.is_one_way |= is_one_way;
        is_new.then_some(Trouble::OneWay { lasted })
    }
}

/// Begins an episode at the limit and ends it below half of that. Returns the loss that begins one.
fn judge(is_on: &mut bool, limit: Option<u8>, percent: u64) -> Option<u8> {
    let limit = u64::from(limit?);
    let was_on = *is_on;
    *is_on = percent >= limit || was_on && percent * 2 >= limit;
    (*is_on && !was_on).then(|| u8::try_from(percent).unwrap_or(u8::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtcp::LastReport;

    const LIMITS: Alarms = Alarms { loss_percent: Some(10), one_way_after: Some(Duration::from_secs(10)) };

    #[allow(clippy::disallowed_methods, reason = "any instant serves as the epoch of a virtual clock")]
    fn watch() -> (Watch, Instant) {
        let begin = Instant::now();
        (Watch::new(begin, LIMITS), begin)
    }

    /// What is told of windows of 10 s with 500 packets each, of which so many are lost.
    fn losses(lost: &[i64]) -> Vec<Option<Trouble>> {
        let (mut watch, begin) = watch();
        let (mut now, mut received, mut all) = (begin, 0, 0);
        let mut told = Vec::new();
        for lost in lost {
            for second in 1..=10 {
                received += u64::try_from((500 - lost) / 10).unwrap();
                all += lost / 10;
                now += Duration::from_secs(1);
                let trouble = watch.count(now, received, all);
                assert!(second == 10 || trouble.is_none());
                told.extend((second == 10).then_some(trouble));
            }
        }
        told
    }

    #[test]
    fn loss_is_told_once_until_it_is_below_half_of_the_limit() {
        let told = |percent| Some(Trouble::LossIn { percent });
        assert_eq!(losses(&[0, 40, 50, 500, 40, 30]), [None, None, told(10), None, None, None]);
        assert_eq!(losses(&[100, 20, 60]), [told(20), None, told(12)]);
    }

    #[test]
    fn a_few_packets_and_duplicates_are_not_judged() {
        let (mut watch, begin) = watch();
        assert_eq!(watch.count(begin + Duration::from_secs(10), 20, 20), None);
        assert_eq!(watch.count(begin + Duration::from_secs(20), 1020, -500), None);
    }

    /// So much had been sent and received when it came; the part lost and the highest number that it told.
    type Told = (u64, u64, Option<(u8, u32)>);

    /// A report each 5 s.
    fn reports(reports: &[Told]) -> Vec<Option<Trouble>> {
        let (mut watch, mut now) = watch();
        let mut told = Vec::new();
        for &(sent, received, about_us) in reports {
            now += Duration::from_secs(5);
            let about_us = about_us.map(|(fraction_lost, highest)| AboutUs {
                fraction_lost,
                highest,
                lost: 0,
                last: LastReport::default(),
            });
            told.push(watch.reported(now, about_us, sent, received));
        }
        told
    }

    #[test]
    fn a_peer_that_hears_nothing_of_what_we_send_is_told_once() {
        let one_way = |seconds| Some(Trouble::OneWay { lasted: Duration::from_secs(seconds) });
        // No word of us, in one report after the other.
        let silent = [(250, 250, None), (500, 500, None), (750, 750, None), (1000, 1000, None)];
        assert_eq!(reports(&silent), [None, one_way(10), None, None]);
        // It heard us, and then no more; and then again.
        let lost = [
            (250, 250, Some((0, 250))),
            (500, 500, Some((255, 250))),
            (750, 750, Some((255, 250))),
            (1000, 1000, Some((0, 1000))),
            (1250, 1250, None),
            (1500, 1500, None),
        ];
        assert_eq!(reports(&lost), [None, None, one_way(10), None, None, one_way(10)]);
    }

    #[test]
    fn it_is_not_one_way_where_we_send_nothing_or_nothing_comes() {
        let idle = [(10, 250, Some((0, 10))), (10, 500, None), (10, 750, None), (10, 1000, None)];
        assert_eq!(reports(&idle), [None; 4]);
        let deaf = [(250, 0, None), (500, 0, None), (750, 0, None)];
        assert_eq!(reports(&deaf), [None; 3]);
        // After a long pause of ours, what is on its way is not judged yet.
        let begun = [(0, 250, None), (0, 500, None), (20, 750, None), (270, 1000, Some((0, 270)))];
        assert_eq!(reports(&begun), [None; 4]);
    }

    #[test]
    fn loss_that_the_peer_reports_is_told_once() {
        let told = |percent| Some(Trouble::LossOut { percent });
        let lossy = [
            (250, 250, Some((25, 250))),
            (500, 500, Some((26, 500))),
            (750, 750, Some((128, 750))),
            (1000, 1000, Some((10, 1000))),
            (1010, 1250, Some((255, 1010))),
            (1260, 1500, Some((64, 1260))),
        ];
        assert_eq!(reports(&lossy), [None, told(10), None, None, None, told(25)]);
    }
}
