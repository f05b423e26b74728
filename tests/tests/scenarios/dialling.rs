//! A call that is dialled for another (`construct` with `parent_call_res_id`): what a caller hears of it until the two are
//! connected.

use std::time::Duration;

use offhook_client::wire::{CallState, Construct, EventKind, Get};
use offhook_tests::agent::{Agent, Message};
use offhook_tests::app::{self, App};
use offhook_tests::caller::Caller;
use offhook_tests::ports;
use offhook_tests::rtp::RtpPeer;
use offhook_tests::server::Server;
use offhook_tests::wait::PATIENCE;
use offhook_tests::wav::Signal;

/// A callee that does what the test says.
struct Callee {
    agent: Agent,
    rtp: RtpPeer,
}

impl Callee {
    async fn new(server: &Server) -> Self {
        Self { agent: Agent::new(server.sip()).await, rtp: RtpPeer::listen(ports::one()).await }
    }

    fn sdp(&self) -> String {
        format!(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {} RTP/AVP 0\r\n",
            self.rtp.port()
        )
    }

    /// The INVITE of a call that is dialled for `parent`.
    async fn called(&self, app: &App, parent: &Caller, construct: Construct) -> (String, Message) {
        let parent_call_res_id = Some(parent.res_id.clone());
        let construct = Construct {
            parent_call_res_id,
            ..Construct { to_uri: app::to(self.agent.address()).to_uri, ..construct }
        };
        let child = app.dial_with(construct).await;
        (child, self.agent.request("INVITE", PATIENCE).await)
    }
}

fn construct() -> Construct {
    app::to(([127, 0, 0, 1], 9).into())
}

async fn state(app: &App, res_id: &str) -> CallState {
    app.client.call(&Get { res_id: res_id.to_owned() }).await.expect("a call").state
}

/// The ring-back tone of China, 450 Hz, then what the far end says before it answers, then the far end itself.
#[tokio::test]
async fn a_caller_hears_the_tone_then_early_media_then_the_callee() {
    let server = Server::start("dial-early").await;
    let mut app = App::connect(&server).await;
    let mut parent = Caller::answered(&server, &mut app).await;
    let mut callee = Callee::new(&server).await;
    let (child, invite) = callee.called(&app, &parent, construct()).await;
    assert_eq!(state(&app, &parent.res_id).await, CallState::Dial);
    assert_eq!(parent.rtp.count(), 0, "nothing rings yet");

    callee.agent.respond(&invite, "180 Ringing", None).await;
    parent.rtp.hear(60, PATIENCE).await;
    let tone = parent.rtp.signal();
    let found = tone.find(&Signal::sine(450.0, 0.2, 900));
    assert!(found.correlation > 0.99, "{found:?}");

    callee.agent.respond(&invite, "183 Session Progress", Some(&callee.sdp())).await;
    let announcement = Signal::read(&server.prompt("welcome.wav"));
    let media = invite.media();
    callee.rtp.speak(&announcement, media).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let found = parent.rtp.signal().find(&announcement);
    assert!(found.correlation > 0.99 && found.gain_db.abs() < 0.2, "{found:?}");
    assert_eq!(callee.rtp.count(), 0, "the callee does not hear the caller yet");

    callee.agent.respond(&invite, "200 OK", Some(&callee.sdp())).await;
    callee.agent.request("ACK", PATIENCE).await;
    assert_eq!(app.dialled(&child, PATIENCE).await.error, None);
    assert_eq!(state(&app, &parent.res_id).await, CallState::Idle);
    app.client.connect_start(&parent.res_id, &child, 60).await.expect("a connection");
    let word = Signal::read(&server.prompt("you-entered.wav"));
    let at_parent = parent.media;
    parent.rtp.speak(&word, at_parent).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(callee.rtp.signal().find(&word).correlation > 0.99);
    parent.hang_up().await;
    app.released(&parent.res_id).await;
    app.hang_up(&child).await;
    let bye = callee.agent.request("BYE", PATIENCE).await;
    callee.agent.answer(&bye, "200 OK").await;
    app.released(&child).await;
    app.check_order();
}

/// A file once before the far end is called; a caller that hangs up meanwhile has called nobody, and later cancels it.
#[tokio::test]
async fn an_announcement_comes_first_and_a_caller_that_is_gone_cancels_the_call() {
    let server = Server::start("dial-announce").await;
    let mut app = App::connect(&server).await;
    let parent = Caller::answered(&server, &mut app).await;
    let callee = Callee::new(&server).await;
    let wanted =
        Construct { ring_play_file: Some("welcome.wav".to_owned()), ring_play_mode: 3, ..construct() };
    let (child, invite) = callee.called(&app, &parent, wanted).await;
    let announcement = Signal::read(&server.prompt("welcome.wav"));
    assert!(parent.rtp.signal().find(&announcement).correlation > 0.99, "all of it before the INVITE");
    callee.agent.respond(&invite, "180 Ringing", None).await;
    let rings = |kind: &EventKind| match kind {
        EventKind::Ringing(event) if event.res_id == child => Some(()),
        _ => None,
    };
    app.event("on_ringing", PATIENCE, rings).await;
    parent.hang_up().await;
    let cancel = callee.agent.request("CANCEL", PATIENCE).await;
    callee.agent.answer(&cancel, "200 OK").await;
    callee.agent.respond(&invite, "487 Request Terminated", None).await;
    let dialled = app.dialled(&child, PATIENCE).await;
    assert_eq!(dialled.error.map(|error| error.code).as_deref(), Some("hangup"));
    let released = app.released(&child).await;
    assert_eq!(released.cause, 487);
    app.released(&parent.res_id).await;
    app.check_order();
}
