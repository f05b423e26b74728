//! Early media: what is heard before a call is answered (RFC 3261 §13.2.1, RFC 3960 §3.2). An [`EarlyLeg`] is the leg of a
//! call that is not answered, either way; [`Early`] is what a caller hears of ours.
//!
//! ```text
//!   ring with a file ─▶ the disk … ─▶ a leg, 183 with our answer, the file over and over
//!   answer           ─▶ silence; the 200 repeats that answer, and the ACK makes a Talk of the same leg
//!   anything else that ends the call ─▶ the leg is removed, and its ports are free when it is gone
//! ```
//! The first description that a caller hears is our answer, whatever comes after it; so it is the same in every response.
//! A caller need not send anything before the answer: silence is none of its faults yet.

use std::net::SocketAddr;
use std::sync::Arc;

use offhook_media::event::{self as media, ActionId, Channel, LegConfig, LegStats, Prompt};
use offhook_media::sdp::{self, Negotiated};
use offhook_sip::event::{self as sip, Body};

use crate::Port;
use crate::call::far_end::FarEnd;
use crate::call::talk::leg_config;
use crate::call::{Core, Input, refuse_description, sdp_body, sdp_of};
use crate::node::Context;
use crate::output::Output;

/// Turns of the file after the first: as good as for ever, since nobody rings for that long.
pub(crate) const OVER_AND_OVER: u32 = u32::MAX;

/// The leg of a call that is not answered. Its far end owes us nothing yet: silence is none of its faults.
#[derive(Debug)]
pub(crate) struct EarlyLeg {
    pub(crate) media: Negotiated,
    pub(crate) stats: LegStats,
    pub(crate) far_end: FarEnd,
}

impl EarlyLeg {
    /// Opens it.
    pub(crate) fn begin(core: &Core, cx: &mut Context<'_>, port: Port, media: Negotiated) -> Self {
        let config = LegConfig { silent_after: None, ..leg_config(core, cx, &media) };
        cx.output(Output::OpenLeg { port, leg: core.leg(), config });
        Self { media, stats: LegStats::default(), far_end: FarEnd::default() }
    }

    /// What was agreed on is changed.
    pub(crate) fn change(&mut self, core: &Core, cx: &mut Context<'_>, media: Negotiated) {
        if media != self.media {
            self.far_end.names(media.remote_rtp);
            self.media = media;
            let config = LegConfig { silent_after: None, ..leg_config(core, cx, &self.media) };
            cx.media(media::Command::UpdateLeg { leg: core.leg(), config });
        }
    }

    /// What it hears in every state.
    pub(crate) fn hear(&mut self, input: &Input) {
        match input {
            Input::Media(media::Event::Stats { stats, .. } | media::Event::LegRemoved { stats, .. }) => {
                self.stats = *stats;
            }
            Input::Media(media::Event::PeerFound { channel: Channel::Rtp, address, .. }) => {
                self.far_end.found(self.media.remote_rtp, *address);
            }
            _ => {}
        }
    }

    /// Where its media goes: to where the far end turned out to be, or is said to be.
    pub(crate) fn remote_media(&self) -> SocketAddr {
        self.far_end.address(self.media.remote_rtp)
    }
}

/// The media of an inbound call that is not answered.
#[derive(Debug)]
pub(crate) struct Early {
    session: sdp::Session,
    /// Our answer, as it was sent first.
    answer: String,
    leg: EarlyLeg,
    playing: Option<ActionId>,
}

impl Early {
    /// Opens the leg.
    pub(crate) fn begin(
        core: &Core,
        cx: &mut Context<'_>,
        port: Port,
        (session, media): (sdp::Session, Negotiated),
        answer: String,
    ) -> Self {
        Self { session, answer, leg: EarlyLeg::begin(core, cx, port, media), playing: None }
    }

    /// Our answer to the caller's offer: the same in each response.
    pub(crate) fn answer(&self) -> Body {
        sdp_body(self.answer.clone())
    }

    pub(crate) fn leg(&self) -> &EarlyLeg {
        &self.leg
    }

    pub(crate) fn leg_mut(&mut self) -> &mut EarlyLeg {
        &mut self.leg
    }

    /// The caller hears this instead of what it heard.
    pub(crate) fn play(&mut self, core: &Core, cx: &mut Context<'_>, prompts: Vec<Arc<Prompt>>) {
        self.stop(core, cx);
        if prompts.iter().all(|prompt| prompt.is_empty()) {
            return;
        }
        let (leg, action) = (core.leg(), cx.new_action());
        cx.media(media::Command::Play { leg, action, prompts, repeat: OVER_AND_OVER });
        self.playing = Some(action);
    }

    /// The caller hears nothing more of it. Nobody waits for the end of what was played.
    pub(crate) fn stop(&mut self, core: &Core, cx: &mut Context<'_>) {
        if let Some(action) = self.playing.take() {
            cx.media(media::Command::StopPlay { leg: core.leg(), action });
        }
    }

    /// The caller changes the session before its ACK, by UPDATE or PRACK (RFC 3311 §5.2); only our answer to an offer
    /// can be meant, an offer of ours nobody is asked for here.
    pub(crate) fn offered(&mut self, core: &Core, cx: &mut Context<'_>, offer: Option<&Body>) {
        let session = core.session;
        let (text, media) = match sdp_of(offer).map(|offer| self.session.answer(offer)) {
            Some(Ok(answered)) => answered,
            Some(Err(error)) => return cx.sip(refuse_description(session, Some(&error))),
            None => return cx.sip(refuse_description(session, None)),
        };
        cx.sip(sip::Command::Accept { session, body: sdp_body(text) });
        self.leg.change(core, cx, media);
    }

    /// The call is answered: what it has come to.
    pub(crate) fn into_parts(self) -> (sdp::Session, EarlyLeg) {
        (self.session, self.leg)
    }
}
