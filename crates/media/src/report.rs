//! The books of one leg's stream: reports to the peer (RTCP), what its reports say, and the figures for applications.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::FRAME;
use crate::codec::{Codec, TICKS};
use crate::event::{Channel, Event, LegId, LegStats};
use crate::packet::{Receiver, Sender};
use crate::quality;
use crate::rtcp::{self, INTERVAL, Incoming, LastReport, Report, SenderInfo};
use crate::shared::Shared;
use crate::srtp;

/// What is reported of one leg.
#[derive(Debug)]
pub(crate) struct Reports {
    /// Canonical name: random for each leg, so that calls cannot be linked by it (RFC 7022 §4.2).
    cname: String,
    next_report: Instant,
    /// Packets sent as of our last report.
    reported_sent: u64,
    /// Packets sent, received, refused and not authentic as of the last statistics.
    told: [u64; 4],
    /// The stamp of the peer's last sender report, and when it came.
    last_report: Option<(u32, Instant)>,
    round_trip: Option<Duration>,
    remote_lost: Option<i32>,
    /// What the peer's last report says it lost of our packets since the one before, in 256ths.
    remote_loss: u8,
    pub(crate) bytes_received: u64,
    pub(crate) late: u64,
    pub(crate) refused: u64,
    /// Packets whose tag was not that of the key (SRTP).
    pub(crate) not_authentic: u64,
    /// Ticks of made-up audio.
    pub(crate) concealed: u64,
}

impl Reports {
    pub(crate) fn new(now: Instant, shared: &mut Shared) -> Self {
        let cname = format!("{:08x}{:08x}{:08x}", shared.random(), shared.random(), shared.random());
        Self {
            cname,
            // The first comes early (RFC 3550 §6.2).
            next_report: now + interval(shared) / 2,
            reported_sent: 0,
            told: [0; 4],
            last_report: None,
            round_trip: None,
            remote_lost: None,
            remote_loss: 0,
            bytes_received: 0,
            late: 0,
            refused: 0,
            not_authentic: 0,
            concealed: 0,
        }
    }

    /// Takes a datagram of the report channel; nothing if it is no report.
    pub(crate) fn receive(
        &mut self,
        now: Instant,
        datagram: &[u8],
        our_ssrc: u32,
        shared: &Shared,
    ) -> Option<Incoming> {
        let Some(incoming) = rtcp::parse(datagram, our_ssrc) else {
            self.refused += 1;
            return None;
        };
        if let Some(stamp) = incoming.stamp {
            self.last_report = Some((stamp, now));
        }
        if let Some(about_us) = incoming.about_us {
            self.remote_lost = Some(about_us.lost);
            self.remote_loss = about_us.fraction_lost;
            let round_trip = rtcp::round_trip(rtcp::ntp(&shared.epoch, now), about_us.last);
            self.round_trip = round_trip.or(self.round_trip);
        }
        Some(incoming)
    }

    /// Packets of a hundred, rounded up, that the peer lost of ours by its last report.
    pub(crate) fn remote_loss_percent(&self) -> u8 {
        u8::try_from((u32::from(self.remote_loss) * 100).div_ceil(256)).unwrap_or(100)
    }

    /// Whether the next report is due.
    pub(crate) fn is_due(&self, now: Instant) -> bool {
        now >= self.next_report
    }

    /// Sends and tells what is due.
    pub(crate) fn tick(&mut self, now: Instant, stream: &mut Stream<'_>, shared: &mut Shared) {
        if self.is_due(now) {
            self.next_report = now + interval(shared);
            self.send(now, stream, false, shared);
        }
        if shared.tells_stats {
            let (sent, received) = (stream.sender.sent().0, stream.receiver.received());
            let flow = [sent, received, self.refused, self.not_authentic];
            if flow != self.told {
                self.told = flow;
                shared.tell(Event::Stats { leg: stream.leg, stats: self.stats(stream) });
            }
        }
    }

    /// The last report, with a BYE; one who has never sent says none (RFC 3550 §6.3.7).
    pub(crate) fn say_bye(&mut self, now: Instant, stream: &mut Stream<'_>, shared: &mut Shared) {
        if stream.sender.sent_by_ssrc().0 > 0 {
            self.send(now, stream, true, shared);
        }
    }

    pub(crate) fn stats(&self, stream: &Stream<'_>) -> LegStats {
        let (packets_sent, bytes_sent) = stream.sender.sent();
        let receiver = &*stream.receiver;
        let jitter = Duration::from_secs_f64(receiver.jitter() / f64::from(stream.codec.clock_rate()));
        // A packet that is filled, the way, and what a jitter buffer waits.
        let delay = FRAME + self.round_trip.unwrap_or_default() / 2 + jitter * 3;
        LegStats {
            packets_sent,
            bytes_sent,
            packets_received: receiver.received(),
            bytes_received: self.bytes_received,
            packets_lost: receiver.lost(),
            packets_late: self.late,
            packets_refused: self.refused,
            packets_not_authentic: self.not_authentic,
            jitter_ms: jitter.as_secs_f64() * 1000.0,
            round_trip_ms: self.round_trip.map(|round_trip| round_trip.as_secs_f64() * 1000.0),
            remote_lost: self.remote_lost.map(i64::from),
            concealed_ms: self.concealed / u64::from(TICKS / 1000),
            mos: (receiver.received() > 0).then(|| quality::mos(stream.codec, receiver.loss(), delay)),
        }
    }

    fn send(&mut self, now: Instant, stream: &mut Stream<'_>, bye: bool, shared: &mut Shared) {
        // Hold the old way names no address; there is nobody to report to.
        if stream.destination.ip().is_unspecified() {
            return;
        }
        let sent = stream.sender.sent().0;
        let (packets, bytes) = stream.sender.sent_by_ssrc();
        let sender = (sent != self.reported_sent && packets > 0).then(|| SenderInfo {
            ntp: rtcp::ntp(&shared.epoch, now),
            timestamp: stream.sender.timestamp_at(stream.clock),
            packets,
            bytes,
        });
        self.reported_sent = sent;
        let last = self.last_report.map_or_else(LastReport::default, |(stamp, came)| LastReport {
            stamp,
            delay: rtcp::parts(now.saturating_duration_since(came)),
        });
        let reception = stream.receiver.report().map(|reception| (reception, last));
        let report = Report { ssrc: stream.sender.ssrc(), cname: &self.cname, sender, reception, bye };
        shared.send(stream.leg, stream.channel, stream.destination, |out| {
            let start = out.len();
            report.write(out);
            if let Some(protection) = &mut stream.protection {
                protection.protect_rtcp(out, start);
            }
        });
    }
}

/// Both directions of a leg, as its reports see them.
pub(crate) struct Stream<'a> {
    pub(crate) leg: LegId,
    pub(crate) channel: Channel,
    pub(crate) protection: Option<&'a mut srtp::Session>,
    pub(crate) destination: SocketAddr,
    pub(crate) sender: &'a Sender,
    pub(crate) receiver: &'a mut Receiver,
    /// The leg's RTP clock, and its codec.
    pub(crate) clock: u32,
    pub(crate) codec: Codec,
}

/// The interval, spread by half to both sides so that reports of many legs do not come together (RFC 3550 §6.3.1).
fn interval(shared: &mut Shared) -> Duration {
    INTERVAL / 2 + INTERVAL.mul_f64(f64::from(shared.random()) / f64::from(u32::MAX))
}
