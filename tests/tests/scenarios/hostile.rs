//! What strangers and broken phones send: neither the process nor the call that is going on takes notice.

use offhook_tests::agent::{Agent, Dialog};
use offhook_tests::app::App;
use offhook_tests::caller::Caller;
use offhook_tests::ports;
use offhook_tests::server::Server;
use offhook_tests::wait::PATIENCE;

/// The control call goes on for another half second, unbroken, and ends as always.
async fn goes_on(control: Caller, server: &Server, app: &mut App) {
    control.rtp.hear_more(25, PATIENCE).await;
    control.assert_unbroken();
    assert!(server.is_healthy().await);
    control.hang_up().await;
    assert_eq!(app.released(&control.res_id).await.cause, 200);
    app.check_order();
}

#[tokio::test]
async fn malformed_datagrams_are_nobodys_business() {
    let server = Server::start("malformed").await;
    let mut app = App::connect(&server).await;
    let control = Caller::listening(&server, &mut app).await;
    let agent = Agent::new(server.sip()).await;
    let whole = Dialog::new(&agent, "service", ports::one()).invite();

    // Nothing at all, noise, keep-alives, and a message cut off at every seventh byte.
    agent.send(b"").await;
    agent.send(b"\r\n\r\n").await;
    agent.send([0_u8; 1024]).await;
    agent.send([0xff_u8; 65_000]).await;
    for cut in (1..whole.len()).step_by(7) {
        agent.send(&whole.as_bytes()[..cut]).await;
    }
    for (what, with) in [
        ("SIP/2.0\r\n", "SIP/9.0\r\n"),
        ("CSeq: 1 INVITE", "CSeq: 99999999999999999999 INVITE"),
        ("CSeq: 1 INVITE", "CSeq: 1 BYE"),
        ("CSeq: 1 INVITE", "CSeq: \u{0} INVITE"),
        ("Max-Forwards: 70", "Max-Forwards: -1"),
        ("Content-Length: ", "Content-Length: 4294967296"),
        ("Content-Length: ", "Content-Length: -"),
        ("Via: SIP/2.0/UDP", "Via: SIP/2.0/"),
        ("From: <sip:", "From: <<<sip:"),
        ("tag=", "tag=;tag="),
        ("To: ", "To : \t\r\n "),
        ("Call-ID: ", "Call-ID: \u{7f}\u{1}"),
        ("INVITE sip:", "INVITE  sip:"),
        ("INVITE sip:", "INVITE \u{1f4de}:"),
    ] {
        assert!(whole.contains(what), "{what}");
        agent.send(whole.replacen(what, with, 1)).await;
    }
    // Two thousand headers, and one of sixty thousand bytes.
    agent.send(whole.replacen("Contact:", &format!("{}Contact:", "X-A: b\r\n".repeat(2000)), 1)).await;
    agent.send(whole.replacen("Contact:", &format!("X-Long: {}\r\nContact:", "x".repeat(60_000)), 1)).await;

    // After all that it still answers.
    agent.send(Dialog::new(&agent, "service", ports::one()).request("OPTIONS", 1, "alive", None)).await;
    assert_eq!(agent.response(200, "OPTIONS").await.status(), Some(200));
    goes_on(control, &server, &mut app).await;
}

#[tokio::test]
async fn a_broken_session_description_is_refused() {
    let server = Server::start("bad-sdp").await;
    let mut app = App::connect(&server).await;
    let control = Caller::listening(&server, &mut app).await;
    let agent = Agent::new(server.sip()).await;
    let good = Dialog::new(&agent, "service", ports::one()).offer("0 101");
    for sdp in [
        "nonsense".to_owned(),
        "v=0\r\n".to_owned(),
        good.replace("m=audio", "m=video"),
        good.replace("m=audio ", "m=audio 9"),
        good.replace("RTP/AVP 0 101", &format!("RTP/AVP{}", " 300".repeat(200))),
        good.replace("IN IP4 127.0.0.1\r\nt=", "IN IP4 not-an-address\r\nt="),
        good.replace("\r\nm=", &format!("{}\r\nm=", "\r\nm=audio 9 RTP/AVP 0".repeat(500))),
    ] {
        let dialog = Dialog::new(&agent, "service", ports::one());
        agent.send(dialog.invite_with(&sdp)).await;
        let refusal = tokio::select! {
            refusal = agent.final_response("INVITE") => refusal,
            incoming = app.incoming() => {
                let refused = app.client.answer(&incoming.res_id, 60).await;
                assert!(refused.is_err(), "answered {sdp:?}");
                app.released(&incoming.res_id).await;
                agent.final_response("INVITE").await
            }
        };
        assert!(matches!(refusal.status(), Some(400 | 488)), "{sdp:?} got\n{}", refusal.text);
        agent.send(dialog.ack_refusal(&refusal)).await;
    }
    goes_on(control, &server, &mut app).await;
}

/// RFC 3550 A.1 and our own rule (reliability R1, R2, R8): short, odd and foreign packets are dropped; audio goes where
/// the SDP says, whoever else sends.
#[tokio::test]
async fn packets_of_strangers_change_nothing() {
    let server = Server::start("rtp-noise").await;
    let mut app = App::connect(&server).await;
    let control = Caller::listening(&server, &mut app).await;
    let stranger = offhook_tests::rtp::RtpPeer::listen(offhook_tests::ports::one()).await;
    let mut voice = vec![0x80, 0, 0, 1, 0, 0, 0, 160, 1, 2, 3, 4];
    voice.extend([0x2a; 160]);
    for round in 0..50_u8 {
        voice[3] = round;
        for packet in [
            &b""[..],
            &[0x80],
            &[0x80; 11],
            &[0xff; 12],
            &[0xbf; 172],
            &[0x90, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0],
            &voice,
        ] {
            stranger.send_raw(packet, control.media).await;
        }
        control.rtp.send_raw(&[0x9f; 40], control.media).await;
    }
    control.rtp.hear_more(25, PATIENCE).await;
    assert_eq!(stranger.count(), 0, "the stranger was sent our audio");
    goes_on(control, &server, &mut app).await;
}

/// A forged BYE (right Call-ID, wrong tags) gets 481, and a CANCEL of an answered call changes nothing.
#[tokio::test]
async fn a_forged_hang_up_does_not_hang_up() {
    let server = Server::start("forged").await;
    let mut app = App::connect(&server).await;
    let control = Caller::listening(&server, &mut app).await;
    let info = app.client.get(&control.res_id).await.expect("what is known of the call");
    let call_id = info.ipsc_info.call_id;
    let agent = Agent::new(server.sip()).await;
    let mut forged = Dialog::new(&agent, "service", ports::one());
    if let Some(call_id) = call_id {
        forged.call_id = call_id;
    }
    agent.send(forged.request("BYE", 7, "forged", Some("<sip:service@127.0.0.1>;tag=guess"))).await;
    assert_eq!(agent.final_response("BYE").await.status(), Some(481));
    goes_on(control, &server, &mut app).await;
}

/// RFC 3261 §14.2: a re-INVITE that cannot be had is refused and leaves the call as it was; so does one whose offer is
/// nonsense (reliability P5).
#[tokio::test]
async fn a_re_invite_does_not_end_the_call() {
    let server = Server::start("re-invite").await;
    let mut app = App::connect(&server).await;
    let control = Caller::listening(&server, &mut app).await;
    let sdp = "Content-Type: application/sdp\r\n";
    let same = control.ask("INVITE", 2, sdp, &control.sdp("0 8 101")).await;
    assert!(matches!(same.status(), Some(200 | 488)), "{}", same.text);
    let none_of_ours = control.ask("INVITE", 3, sdp, &control.sdp("4 18")).await;
    assert_eq!(none_of_ours.status(), Some(488), "{}", none_of_ours.text);
    let nonsense = control.ask("INVITE", 4, sdp, "v=0\r\nnonsense\r\n").await;
    assert!(matches!(nonsense.status(), Some(400 | 488)), "{}", nonsense.text);
    // A lower CSeq than the last is out of order (§12.2.2).
    assert_eq!(control.ask("OPTIONS", 3, "", "").await.status(), Some(500));
    assert_eq!(control.ask("OPTIONS", 5, "", "").await.status(), Some(200));
    goes_on(control, &server, &mut app).await;
}

/// An address and a port that nobody of ours has is no reason to refuse, whatever the number.
#[tokio::test]
async fn an_offer_of_port_9_rings() {
    let server = Server::start("port-9").await;
    let _app = App::connect(&server).await;
    let agent = Agent::new(server.sip()).await;
    let dialog = Dialog::new(&agent, "service", 9);
    agent.send(dialog.invite()).await;
    let answer = agent.expect("a response", PATIENCE, |message| message.status() != Some(100)).await;
    assert_eq!(answer.status(), Some(180), "{}", answer.text);
}
