//! A caller by hand whose call is answered: its SIP by an [`Agent`], its voice and ears by an [`RtpPeer`].

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use offhook_client::wire::PlayStart;

use crate::agent::{Agent, Dialog, Message};
use crate::app::{App, MAX_ANSWER_SECONDS};
use crate::ports;
use crate::rtp::RtpPeer;
use crate::server::Server;
use crate::wait::PATIENCE;

/// The payload types that are offered unless others are asked for: PCMU, PCMA and telephone-events.
const USUAL: &str = "0 8 101";

/// One end of an answered call.
#[derive(Debug)]
pub struct Caller {
    /// What it hears and says.
    pub rtp: RtpPeer,
    /// The call, as the application knows it.
    pub res_id: String,
    /// Where the server takes its RTP.
    pub media: SocketAddr,
    agent: Agent,
    dialog: Dialog,
    ok: Message,
}

impl Caller {
    /// Calls `server` with PCMU, PCMA and telephone-events, and is answered by `app`.
    pub async fn answered(server: &Server, app: &mut App) -> Self {
        Self::answered_offering(USUAL, server, app).await
    }

    /// Calls `server` with these payload types, and is answered by `app`.
    pub async fn answered_offering(formats: &str, server: &Server, app: &mut App) -> Self {
        taken(Self::call(formats, Some(MAX_ANSWER_SECONDS), server, app).await)
    }

    /// Calls `server`, and is answered by `app` for so long at most.
    pub async fn answered_for(seconds: u32, server: &Server, app: &mut App) -> Self {
        taken(Self::call(USUAL, Some(seconds), server, app).await)
    }

    /// Calls `server`, which may refuse: then it is its refusal, and how soon that came.
    pub async fn tried(server: &Server, app: &mut App) -> Result<Self, (Message, Duration)> {
        Self::call(USUAL, Some(MAX_ANSWER_SECONDS), server, app).await
    }

    /// Calls `server`, and is answered by somebody else; `app` hears of it.
    pub async fn answered_by_another(server: &Server, app: &mut App) -> Self {
        taken(Self::call(USUAL, None, server, app).await)
    }

    async fn call(
        formats: &str,
        seconds: Option<u32>,
        server: &Server,
        app: &mut App,
    ) -> Result<Self, (Message, Duration)> {
        let agent = Agent::new(server.sip()).await;
        let rtp = RtpPeer::listen(ports::one()).await;
        let dialog = Dialog::new(&agent, "service", rtp.port());
        let begun = Instant::now();
        agent.send(dialog.invite_with(&dialog.offer(formats))).await;
        let res_id = tokio::select! {
            refusal = agent.final_response("INVITE") => {
                agent.send(dialog.ack_refusal(&refusal)).await;
                let after = refusal.at - begun;
                return Err((refusal, after));
            }
            incoming = app.incoming() => incoming.res_id,
        };
        let answering = tokio::spawn({
            let (client, res_id) = (app.client.clone(), res_id.clone());
            async move {
                match seconds {
                    Some(seconds) => client.answer(&res_id, seconds).await,
                    None => Ok(()),
                }
            }
        });
        let ok = agent.response(200, "INVITE").await;
        agent.send(dialog.ack(&ok)).await;
        answering.await.expect("a finished request").expect("an answered call");
        Ok(Self { rtp, res_id, media: ok.media(), agent, dialog, ok })
    }

    /// One that is answered, hears a prompt over and over where it said it would, and says nothing.
    pub async fn listening(server: &Server, app: &mut App) -> Self {
        let caller = Self::answered(server, app).await;
        let play = PlayStart {
            res_id: caller.res_id.clone(),
            content: "welcome.wav".into(),
            repeat: 1_000,
            ..Default::default()
        };
        app.client.call(&play).await.expect("a play");
        caller.rtp.hear_more(10, PATIENCE).await;
        caller
    }

    /// Sends a request in the dialog, with more header lines and a body, and gives its final response.
    pub async fn ask(&self, method: &str, cseq: u32, headers: &str, body: &str) -> Message {
        let to = self.ok.header("To");
        let branch = format!("ask{cseq}");
        let request = self.dialog.request_with(method, cseq, &branch, to.as_deref(), headers, body);
        self.agent.send(request).await;
        let response = self.agent.final_response(method).await;
        if method == "INVITE" {
            // A refusal is acknowledged by its own transaction, a 200 by a new one (RFC 3261 §17.1.1.3, §13.2.2.4).
            let branch = if response.status() == Some(200) { format!("ack{cseq}") } else { branch };
            self.agent.send(self.dialog.request("ACK", cseq, &branch, to.as_deref())).await;
        }
        response
    }

    /// An SDP of this caller with these payload types.
    pub fn sdp(&self, formats: &str) -> String {
        self.dialog.offer(formats)
    }

    /// Hangs up, and waits for the answer to that.
    pub async fn hang_up(&self) {
        self.agent.send(self.dialog.bye(&self.ok)).await;
        self.agent.response(200, "BYE").await;
    }

    /// Waits for the server's BYE, and answers it.
    pub async fn is_hung_up_on(&self, patience: Duration) -> Message {
        let bye = self.agent.request("BYE", patience).await;
        self.agent.answer(&bye, "200 OK").await;
        bye
    }

    /// Panics unless all that was heard came in one unbroken stream: each packet the next one, 20 ms of samples later.
    pub fn assert_unbroken(&self) {
        for pair in self.rtp.packets().windows(2) {
            let step = (
                pair[1].sequence.wrapping_sub(pair[0].sequence),
                pair[1].timestamp.wrapping_sub(pair[0].timestamp),
            );
            assert_eq!(step, (1, 160), "after packet {}", pair[0].sequence);
        }
    }
}

/// A call that must not be refused.
fn taken(call: Result<Caller, (Message, Duration)>) -> Caller {
    match call {
        Ok(caller) => caller,
        Err((refusal, _)) => panic!("refused:\n{}", refusal.text),
    }
}
