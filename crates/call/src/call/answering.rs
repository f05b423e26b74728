//! Answer: the 200 to an inbound INVITE has been sent, and its ACK is awaited. SIP bounds the wait: the session either
//! is acknowledged or ends (RFC 3261 §13.3.1.4).

use std::time::Duration;

use offhook_media::sdp::{self, Negotiated};
use offhook_sip::event::{self as sip, Body};

use crate::Port;
use crate::call::early::{Early, EarlyLeg};
use crate::call::ended::Ended;
use crate::call::idle::Idle;
use crate::call::{Core, Input, Phase, Step, Talk, pass_over, refuse, refuse_description, sdp_body, sdp_of};
use crate::cause::{Ending, Unagreed};
use crate::error::Error;
use crate::event::{EventKind, Span, UnixMs};
use crate::id::RequestId;
use crate::node::Context;
use crate::output::Reply;

/// What is known of the media when the 200 goes out.
#[derive(Debug)]
pub(crate) enum Agreement {
    /// The 200 carries the answer to the caller's offer.
    Settled(sdp::Session, Box<Negotiated>),
    /// The 200 repeats the answer that a 183 has carried, and there is a leg.
    Early(Box<Early>),
    /// The 200 carries our offer, and the ACK will carry the answer.
    Offered(sdp::Session),
}

impl Agreement {
    /// An UPDATE that overtakes the ACK (RFC 3311 §5.2). Where our own offer is still open it has to wait.
    fn change(&mut self, core: &Core, cx: &mut Context<'_>, offer: Option<&Body>) {
        let id = core.session;
        let command = match (self, offer) {
            (Self::Offered(_), _) | (_, None) => refuse(id, 491, None),
            (Self::Early(early), offer) => return early.offered(core, cx, offer),
            (Self::Settled(session, media), offer) => {
                match sdp_of(offer).map(|offer| session.answer(offer)) {
                    Some(Ok((text, changed))) => {
                        **media = changed;
                        sip::Command::Accept { session: id, body: sdp_body(text) }
                    }
                    Some(Err(error)) => refuse_description(id, Some(&error)),
                    None => refuse_description(id, None),
                }
            }
        };
        cx.sip(command);
    }
}

/// A call whose answer is on its way.
#[derive(Debug)]
pub(crate) struct Answering {
    port: Port,
    request: RequestId,
    begin: UnixMs,
    max_answer: Duration,
    agreement: Agreement,
}

impl Answering {
    pub(crate) fn new(
        port: Port,
        request: RequestId,
        begin: UnixMs,
        max_answer: Duration,
        agreement: Agreement,
    ) -> Self {
        Self { port, request, begin, max_answer, agreement }
    }

    pub(crate) fn port(&self) -> Port {
        self.port
    }

    pub(crate) fn leg(&self) -> Option<&EarlyLeg> {
        if let Agreement::Early(early) = &self.agreement { Some(early.leg()) } else { None }
    }

    pub(crate) fn leg_mut(&mut self) -> Option<&mut EarlyLeg> {
        if let Agreement::Early(early) = &mut self.agreement { Some(early.leg_mut()) } else { None }
    }

    pub(crate) fn handle(mut self, core: &mut Core, cx: &mut Context<'_>, input: Input) -> Step {
        match input {
            Input::Sip(sip::Event::Offer { body, .. }) => {
                self.agreement.change(core, cx, body.as_ref());
                Step::to(Phase::Answering(self))
            }
            Input::Sip(sip::Event::Acked { body, .. }) => self.acked(core, cx, body),
            other => {
                pass_over(cx, other);
                Step::to(Phase::Answering(self))
            }
        }
    }

    fn acked(self, core: &Core, cx: &mut Context<'_>, body: Option<Body>) -> Step {
        let Self { port, request, begin, max_answer, agreement } = self;
        let talk = match agreement {
            Agreement::Settled(session, media) => Talk::begin(core, cx, port, (session, *media), max_answer),
            Agreement::Early(early) => Talk::resume(core, cx, port, early.into_parts(), max_answer),
            Agreement::Offered(mut session) => {
                let answer = sdp_of(body.as_ref()).ok_or(Unagreed::Description);
                match answer.and_then(|answer| Ok(session.accept(answer)?)) {
                    Ok(media) => Talk::begin(core, cx, port, (session, media), max_answer),
                    Err(why) => {
                        let agreement = Agreement::Offered(session);
                        let answering = Self { port, request, begin, max_answer, agreement };
                        return answering.end(core, cx, Ending::NotNegotiated(why));
                    }
                }
            }
        };
        cx.reply(request, Ok(Reply::Done));
        let span = Span { begin, end: cx.now.wall };
        Step::to(Phase::Idle(Idle::new(talk, cx))).telling(EventKind::AnswerCompleted { error: None, span })
    }

    pub(crate) fn end(self, core: &Core, cx: &mut Context<'_>, ending: Ending) -> Step {
        if let Some(reason) = ending.farewell() {
            cx.sip(sip::Command::Bye { session: core.session, reason: Some(reason) });
        }
        cx.reply(self.request, Err(Error::AnswerFailed { sip_status: ending.cause(None).status }));
        let span = Span { begin: self.begin, end: cx.now.wall };
        let completion = EventKind::AnswerCompleted { error: Some(ending.not_answered()), span };
        let mut ended = Ended::unanswered(cx, &ending, Some(self.port), Some(completion));
        if let Some(leg) = self.leg() {
            ended = ended.after(core, cx, leg, &ending);
        }
        Step::to(Phase::Ended(ended))
    }
}
