//! Talk: the media of an answered call, over all that the far end changes about it (RFC 3264 §8, RFC 3261 §14), in
//! whatever state the call is.
//!
//! ```text
//!   Offer with a description ──▶ answered at once: Accept, or Refuse (488) and nothing has changed
//!   Offer without one        ──▶ Accept with ours … Acked with theirs, or nothing has changed
//!   nothing comes            ──▶ an alarm … hung up
//! ```
//! A change is told to the leg, and what the call is doing goes on. On hold too: a prompt, digits to send and every time
//! limit go on unheard and end when they would have ended, so that hold cannot keep a call for ever, and a recording has
//! silence. That is what those who come from Asterisk expect; an application that wants to wait hears of it (`on_hold`).

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use offhook_media::event::{self as media, Channel, LegConfig, LegStats};
use offhook_media::sdp::{self, Direction, Negotiated};
use offhook_sip::event::{self as sip, Body};

use crate::call::early::EarlyLeg;
use crate::call::far_end::FarEnd;
use crate::call::{Core, Input, TypeAhead, refuse, refuse_description, sdp_body, sdp_of};
use crate::event::{EventKind, MediaAlarm, UnixMs};
use crate::gateway::DtmfWay;
use crate::node::Context;
use crate::output::Output;
use crate::{Port, ToneDetection, info};

/// What every answered call has: its media, and its longest duration.
#[derive(Debug)]
pub(crate) struct Talk {
    pub(crate) port: Port,
    pub(crate) media: Negotiated,
    pub(crate) stats: LegStats,
    far_end: FarEnd,
    pub(crate) typed: TypeAhead,
    pub(crate) answered: UnixMs,
    pub(crate) answered_at: Instant,
    /// When the longest talk is over; none for one beyond all time.
    pub(crate) until: Option<Instant>,
    /// When a far end that has fallen silent is given up.
    pub(crate) silent_until: Option<Instant>,
    /// Our side of its descriptions.
    session: sdp::Session,
    /// Whether our last description was an offer, which an ACK has to answer.
    is_offering: bool,
}

impl Talk {
    /// Opens the leg of a call that has just been answered.
    pub(crate) fn begin(
        core: &Core,
        cx: &mut Context<'_>,
        port: Port,
        (session, media): (sdp::Session, Negotiated),
        max_answer: Duration,
    ) -> Self {
        let config = leg_config(core, cx, &media);
        cx.output(Output::OpenLeg { port, leg: core.leg(), config });
        Self::new(core, cx, port, (session, media, LegStats::default()), max_answer)
    }

    /// Goes on with the leg of a call that had early media. From now on the far end owes us some as well.
    pub(crate) fn resume(
        core: &Core,
        cx: &mut Context<'_>,
        port: Port,
        (session, leg): (sdp::Session, EarlyLeg),
        max_answer: Duration,
    ) -> Self {
        let EarlyLeg { media, stats, mut far_end } = leg;
        let config = leg_config(core, cx, &media);
        cx.media(media::Command::UpdateLeg { leg: core.leg(), config });
        far_end.names(media.remote_rtp);
        let talk = Self { far_end, ..Self::new(core, cx, port, (session, media, stats), max_answer) };
        talk.tell_where(core, cx);
        talk
    }

    fn new(
        core: &Core,
        cx: &mut Context<'_>,
        port: Port,
        (session, media, stats): (sdp::Session, Negotiated, LegStats),
        max_answer: Duration,
    ) -> Self {
        if is_hold(&media) {
            core.tell(cx, EventKind::Hold { held: true });
        }
        Self {
            port,
            media,
            stats,
            far_end: FarEnd::default(),
            typed: TypeAhead::default(),
            answered: cx.now.wall,
            answered_at: cx.now.mono,
            until: cx.deadline(max_answer),
            silent_until: None,
            session,
            is_offering: false,
        }
    }

    /// When it ends by itself.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.until.into_iter().chain(self.silent_until).min()
    }

    /// What an answered call hears in every state.
    pub(crate) fn hear(&mut self, core: &Core, cx: &mut Context<'_>, input: &Input) {
        match input {
            Input::Media(media::Event::Stats { stats, .. } | media::Event::LegRemoved { stats, .. }) => {
                self.stats = *stats;
            }
            Input::Media(media::Event::Digit { key, source, duration, .. }) => {
                core.tell(cx, EventKind::Dtmf { key: *key, source: *source, duration: *duration });
            }
            Input::Media(media::Event::Silent { .. }) => self.falls_silent(core, cx),
            Input::Media(media::Event::Heard { .. }) => self.silent_until = None,
            Input::Media(media::Event::PeerFound { channel: Channel::Rtp, address, .. }) => {
                self.far_end.found(self.media.remote_rtp, *address);
                self.tell_where(core, cx);
            }
            Input::Media(media::Event::Trouble { trouble, .. }) => {
                core.tell(cx, EventKind::MediaAlarm(MediaAlarm::Trouble(*trouble)));
            }
            Input::Media(media::Event::Stranger { address, .. }) => {
                core.tell(cx, EventKind::MediaAlarm(MediaAlarm::Stranger { address: *address }));
            }
            Input::Sip(sip::Event::Info { body, .. }) => {
                if let Some((key, duration)) = info::digit(body) {
                    cx.media(media::Command::InfoDigit { leg: core.leg(), key, duration });
                }
            }
            Input::Sip(sip::Event::Offer { body, .. }) => self.offered(core, cx, body.as_ref()),
            Input::Sip(sip::Event::Acked { body, .. }) => self.acked(core, cx, body.as_ref()),
            Input::Sip(sip::Event::Updated { body, .. }) => self.accept(core, cx, Some(body)),
            _ => {}
        }
    }

    /// The far end wants to change the session. While our own offer is open it has to wait (RFC 3261 §14.2).
    fn offered(&mut self, core: &Core, cx: &mut Context<'_>, body: Option<&Body>) {
        let session = core.session;
        if self.is_offering {
            return cx.sip(refuse(session, 491, None));
        }
        if body.is_none() {
            self.is_offering = true;
            let body = sdp_body(self.session.offer());
            return cx.sip(sip::Command::Accept { session, body });
        }
        match sdp_of(body).map(|offer| self.session.answer(offer)) {
            Some(Ok((text, media))) => {
                cx.sip(sip::Command::Accept { session, body: sdp_body(text) });
                self.change(core, cx, media);
            }
            Some(Err(error)) => cx.sip(refuse_description(session, Some(&error))),
            None => cx.sip(refuse_description(session, None)),
        }
    }

    /// The answer to our offer. A missing or bad one changes nothing: the far end has its 200 and cannot be refused any
    /// more, and a call that works is worth more than the change (reliability P5).
    fn acked(&mut self, core: &Core, cx: &mut Context<'_>, body: Option<&Body>) {
        if std::mem::take(&mut self.is_offering) {
            self.accept(core, cx, body);
        }
    }

    fn accept(&mut self, core: &Core, cx: &mut Context<'_>, body: Option<&Body>) {
        if let Some(Ok(media)) = sdp_of(body).map(|answer| self.session.accept(answer)) {
            self.change(core, cx, media);
        }
    }

    fn change(&mut self, core: &Core, cx: &mut Context<'_>, media: Negotiated) {
        if media == self.media {
            return;
        }
        self.far_end.names(media.remote_rtp);
        let was_held = is_hold(&std::mem::replace(&mut self.media, media));
        let config = leg_config(core, cx, &self.media);
        cx.media(media::Command::UpdateLeg { leg: core.leg(), config });
        let held = is_hold(&self.media);
        if held != was_held {
            core.tell(cx, EventKind::Hold { held });
        }
    }

    /// Where its media goes: to where the far end turned out to be, or is said to be.
    pub(crate) fn remote_media(&self) -> SocketAddr {
        self.far_end.address(self.media.remote_rtp)
    }

    /// Tells of a far end that is elsewhere than it says.
    fn tell_where(&self, core: &Core, cx: &mut Context<'_>) {
        let (named, address) = (self.media.remote_rtp, self.remote_media());
        if address != named {
            let alarm = MediaAlarm::SourceChanged { from: named, to: address };
            core.tell(cx, EventKind::MediaAlarm(alarm));
        }
    }

    /// Half of the time-out has passed without a packet; the other half is for the application, and for the far end to
    /// come back.
    fn falls_silent(&mut self, core: &Core, cx: &mut Context<'_>) {
        let Some(timeout) = cx.node.config.silence_timeout else { return };
        let silent = silent_after(timeout);
        core.tell(cx, EventKind::MediaAlarm(MediaAlarm::NoRtpIn { silent }));
        self.silent_until = cx.deadline(timeout.saturating_sub(silent));
    }
}

/// How much of the time-out passes before the alarm.
fn silent_after(timeout: Duration) -> Duration {
    timeout / 2
}

/// Whether the far end does not want to hear us (RFC 3264 §8.4).
fn is_hold(media: &Negotiated) -> bool {
    matches!(media.direction, Direction::RecvOnly | Direction::Inactive)
}

pub(super) fn leg_config(core: &Core, cx: &Context<'_>, media: &Negotiated) -> LegConfig {
    let config = &cx.node.config;
    let tones = match core.dtmf(cx) {
        DtmfWay::Auto | DtmfWay::Info => config.tones,
        DtmfWay::Rfc4733 => ToneDetection::Never,
        DtmfWay::Inband => ToneDetection::Always,
    };
    let detect_tones = match tones {
        ToneDetection::Auto => media.telephone_event.is_none(),
        ToneDetection::Always => true,
        ToneDetection::Never => false,
    };
    LegConfig {
        media: media.clone(),
        detect_tones,
        silent_after: config.silence_timeout.map(silent_after),
        unheard_limit: config.unheard_limit,
        symmetric: core.is_symmetric(cx),
        idle: config.idle,
        alarms: config.alarms,
    }
}
