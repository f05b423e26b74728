//! A call that is dialled for another (`construct` with `parent_call_res_id`): what a caller hears of it until the two are
//! connected; and one that is dialled for a conference (`parent_conf_res_id`), which hears the same.

use std::time::Duration;

use offhook_client::wire::{CallState, ConfConstruct, ConfEnter, ConfRelease, Construct, EventKind, Get};
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

    /// The INVITE of a call to it.
    async fn called(&self, app: &App, construct: Construct) -> (String, Message) {
        let construct = Construct { to_uri: app::to(self.agent.address()).to_uri, ..construct };
        let child = app.dial_with(construct).await;
        (child, self.agent.request("INVITE", PATIENCE).await)
    }
}

fn dialled_for(parent: &Caller) -> Construct {
    Construct { parent_call_res_id: Some(parent.res_id.clone()), ..app::to(([127, 0, 0, 1], 9).into()) }
}

fn dialled_for_conference(conference: &str) -> Construct {
    Construct { parent_conf_res_id: Some(conference.to_owned()), ..app::to(([127, 0, 0, 1], 9).into()) }
}

async fn enter(app: &App, call: &str, conference: &str) {
    let (res_id, conf_res_id) = (call.to_owned(), conference.to_owned());
    let enter = ConfEnter { res_id, conf_res_id, max_seconds: 60, ..Default::default() };
    app.client.call(&enter).await.expect("a member");
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
    let (child, invite) = callee.called(&app, dialled_for(&parent)).await;
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
    let ring_play_file = Some("welcome.wav".to_owned());
    let wanted = Construct { ring_play_file, ring_play_mode: 3, ..dialled_for(&parent) };
    let (child, invite) = callee.called(&app, wanted).await;
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

/// All members hear the ring-back tone, then what the far end says before it answers; when it has answered it is nobody's
/// until it enters. One that is being dialled when the conference is released is cancelled.
#[tokio::test]
async fn a_conference_hears_the_tone_then_early_media_and_the_callee_when_it_enters() {
    let server = Server::start("dial-conference").await;
    let mut app = App::connect(&server).await;
    let first = Caller::answered(&server, &mut app).await;
    let second = Caller::answered(&server, &mut app).await;
    let construct = ConfConstruct { max_seconds: 120, ..Default::default() };
    let conference = app.client.call(&construct).await.expect("a conference").res_id;
    enter(&app, &first.res_id, &conference).await;
    enter(&app, &second.res_id, &conference).await;
    let mut callee = Callee::new(&server).await;
    let (child, invite) = callee.called(&app, dialled_for_conference(&conference)).await;
    assert_eq!(state(&app, &first.res_id).await, CallState::Conf);

    callee.agent.respond(&invite, "180 Ringing", None).await;
    for member in [&first, &second] {
        member.rtp.hear_more(80, PATIENCE).await;
        // A piece of it: a machine that is busy lets a room miss a frame now and then.
        let found = member.rtp.signal().find(&Signal::sine(450.0, 0.2, 300));
        assert!(found.correlation > 0.98, "{found:?}");
    }
    callee.agent.respond(&invite, "183 Session Progress", Some(&callee.sdp())).await;
    let announcement = Signal::read(&server.prompt("welcome.wav"));
    let media = invite.media();
    callee.rtp.speak(&announcement, media).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    for member in [&first, &second] {
        let found = member.rtp.signal().find(&announcement);
        assert!(found.correlation > 0.97 && found.gain_db.abs() < 0.5, "{found:?}");
    }
    assert_eq!(callee.rtp.count(), 0, "the callee does not hear the conference yet");

    callee.agent.respond(&invite, "200 OK", Some(&callee.sdp())).await;
    callee.agent.request("ACK", PATIENCE).await;
    assert_eq!(app.dialled(&child, PATIENCE).await.error, None);
    assert_eq!(state(&app, &child).await, CallState::Idle);
    enter(&app, &child, &conference).await;
    let word = Signal::read(&server.prompt("you-entered.wav"));
    callee.rtp.speak(&word, media).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(first.rtp.signal().find(&word).correlation > 0.97);

    let other = Callee::new(&server).await;
    let (cancelled, invite) = other.called(&app, dialled_for_conference(&conference)).await;
    other.agent.respond(&invite, "180 Ringing", None).await;
    app.client.call(&ConfRelease { res_id: conference }).await.expect("a release");
    let cancel = other.agent.request("CANCEL", PATIENCE).await;
    other.agent.answer(&cancel, "200 OK").await;
    other.agent.respond(&invite, "487 Request Terminated", None).await;
    let dialled = app.dialled(&cancelled, PATIENCE).await;
    assert_eq!(dialled.error.map(|error| error.code).as_deref(), Some("hangup"));
    app.released(&cancelled).await;

    app.hang_up(&child).await;
    let bye = callee.agent.request("BYE", PATIENCE).await;
    callee.agent.answer(&bye, "200 OK").await;
    app.released(&child).await;
    for member in [first, second] {
        member.hang_up().await;
        app.released(&member.res_id).await;
    }
    app.check_order();
}
