//! Transfers and messages, both ways, with a telephone by hand (RFC 3515, RFC 3428).

use offhook_client::wire::{
    EventKind, NodeSendMessage, OnMessage, OnTransferCompleted, OnTransferRequested, SendMessage, Transfer,
    TransferAccept, TransferNotify,
};
use offhook_tests::agent::{Agent, Dialog, Message};
use offhook_tests::app::App;
use offhook_tests::ports;
use offhook_tests::server::Server;
use offhook_tests::wait::PATIENCE;

/// A call of the agent that the application has answered: its identity, the 200, its name.
async fn answered(agent: &Agent, app: &mut App) -> (Dialog, Message, String) {
    let dialog = Dialog::new(agent, "100", ports::one());
    agent.send(dialog.invite()).await;
    let res_id = app.incoming().await.res_id;
    // The answer waits for the ACK, which the agent has to send meanwhile.
    let (client, name) = (app.client.clone(), res_id.clone());
    let answer = tokio::spawn(async move { client.answer(&name, 60).await });
    let ok = agent.response(200, "INVITE").await;
    agent.send(dialog.ack(&ok)).await;
    answer.await.expect("a task").expect("an answered call");
    (dialog, ok, res_id)
}

async fn transferred(app: &mut App) -> OnTransferCompleted {
    let pick = |kind: &EventKind| match kind {
        EventKind::TransferCompleted(event) => Some(event.clone()),
        _ => None,
    };
    app.event("on_transfer_completed", PATIENCE, pick).await
}

async fn requested(app: &mut App) -> OnTransferRequested {
    let pick = |kind: &EventKind| match kind {
        EventKind::TransferRequested(event) => Some(event.clone()),
        _ => None,
    };
    app.event("on_transfer_requested", PATIENCE, pick).await
}

#[tokio::test]
async fn the_far_end_is_asked_to_call_somebody_else() {
    let server = Server::start("transfer-out").await;
    let mut app = App::connect(&server).await;
    let agent = Agent::new(server.sip()).await;
    let (dialog, ok, res_id) = answered(&agent, &mut app).await;
    let to = ok.header("To");
    let transfer = Transfer { res_id: res_id.clone(), to_uri: "300@192.0.2.30".to_owned() };
    app.client.call(&transfer).await.expect("a transfer");
    let refer = agent.request("REFER", PATIENCE).await;
    assert!(
        refer.header("Refer-To").is_some_and(|value| value.contains("sip:300@192.0.2.30")),
        "{}",
        refer.text
    );
    agent.answer(&refer, "202 Accepted").await;
    for (cseq, state, status) in
        [(2, "active;expires=60", "180 Ringing"), (3, "terminated;reason=noresource", "200 OK")]
    {
        let headers = format!(
            "Event: refer\r\nSubscription-State: {state}\r\nContent-Type: message/sipfrag;version=2.0\r\n"
        );
        let body = format!("SIP/2.0 {status}\r\n");
        let branch = format!("notify{cseq}");
        agent.send(dialog.request_with("NOTIFY", cseq, &branch, to.as_deref(), &headers, &body)).await;
        agent.response(200, "NOTIFY").await;
    }
    let done = transferred(&mut app).await;
    assert_eq!((done.res_id.as_str(), done.error, done.sip_status), (res_id.as_str(), None, Some(200)));
    agent.send(dialog.bye(&ok)).await;
    agent.response(200, "BYE").await;
    app.released(&res_id).await;
    app.check_order();
}

#[tokio::test]
async fn the_far_end_asks_to_be_connected_with_somebody_else() {
    let server = Server::start("transfer-in").await;
    let mut app = App::connect(&server).await;
    let agent = Agent::new(server.sip()).await;
    let (dialog, ok, res_id) = answered(&agent, &mut app).await;
    let headers = "Refer-To: <sip:400@192.0.2.40>\r\nReferred-By: <sip:agent@192.0.2.7>\r\n";
    let to = ok.header("To");
    agent.send(dialog.request_with("REFER", 2, "refer", to.as_deref(), headers, "")).await;
    let wish = requested(&mut app).await;
    assert_eq!((wish.res_id.as_str(), wish.to_uri.as_str()), (res_id.as_str(), "sip:400@192.0.2.40"));
    assert_eq!(wish.referred_by.as_deref(), Some("sip:agent@192.0.2.7"));
    app.client.call(&TransferAccept { res_id: res_id.clone() }).await.expect("accepted");
    agent.response(202, "REFER").await;
    // RFC 3515 §2.4.4: a NOTIFY comes at once; the next one waits for its answer.
    let first = agent.request("NOTIFY", PATIENCE).await;
    assert!(first.text.contains("SIP/2.0 100"), "{}", first.text);
    agent.answer(&first, "200 OK").await;
    app.client.call(&TransferNotify { res_id: res_id.clone(), sip_status: 200 }).await.expect("told");
    let told = |message: &Message| message.is_request("NOTIFY") && message.text.contains("SIP/2.0 200");
    let last = agent.expect("the last NOTIFY", PATIENCE, told).await;
    assert!(
        last.header("Subscription-State").is_some_and(|state| state.starts_with("terminated")),
        "{}",
        last.text
    );
    agent.answer(&last, "200 OK").await;
    agent.send(dialog.bye(&ok)).await;
    app.released(&res_id).await;
    app.check_order();
}

async fn message(app: &mut App) -> OnMessage {
    let pick = |kind: &EventKind| match kind {
        EventKind::Message(event) => Some(event.clone()),
        _ => None,
    };
    app.event("on_message", PATIENCE, pick).await
}

#[tokio::test]
async fn messages_go_both_ways_inside_a_call() {
    let server = Server::start("message-inside").await;
    let mut app = App::connect(&server).await;
    let agent = Agent::new(server.sip()).await;
    let (dialog, ok, res_id) = answered(&agent, &mut app).await;
    let to = ok.header("To");
    let plain = "Content-Type: text/plain;charset=utf-8\r\n";
    agent
        .send(dialog.request_with("MESSAGE", 2, "message", to.as_deref(), plain, "gr\u{fc}\u{df} dich"))
        .await;
    agent.response(200, "MESSAGE").await;
    let heard = message(&mut app).await;
    assert_eq!((heard.res_id.as_str(), heard.content.as_str()), (res_id.as_str(), "gr\u{fc}\u{df} dich"));
    assert_eq!(heard.content_encoding, None);
    let send = SendMessage { res_id: res_id.clone(), content: "hello".to_owned(), ..Default::default() };
    let sent = app.client.call(&send).await.expect("a message on its way");
    let request = agent.request("MESSAGE", PATIENCE).await;
    assert!(request.text.ends_with("\r\n\r\nhello"), "{}", request.text);
    agent.answer(&request, "200 OK").await;
    let pick = |kind: &EventKind| match kind {
        EventKind::MessageCompleted(event) if event.message_id == sent.message_id => Some(event.clone()),
        _ => None,
    };
    let done = app.event("on_message_completed", PATIENCE, pick).await;
    assert_eq!((done.error, done.sip_status), (None, Some(200)));
    agent.send(dialog.bye(&ok)).await;
    app.released(&res_id).await;
    app.check_order();
}

#[tokio::test]
async fn messages_go_both_ways_outside_of_calls() {
    let server = Server::start("message-outside").await;
    let mut app = App::connect(&server).await;
    let agent = Agent::new(server.sip()).await;
    let dialog = Dialog::new(&agent, "100", ports::one());
    let plain = "Content-Type: text/plain\r\n";
    agent.send(dialog.request_with("MESSAGE", 1, "page", None, plain, "hello")).await;
    agent.response(200, "MESSAGE").await;
    let pick = |kind: &EventKind| match kind {
        EventKind::NodeMessage(event) => Some(event.clone()),
        _ => None,
    };
    let heard = app.event("sys.node.on_message", PATIENCE, pick).await;
    assert_eq!((heard.gateway.as_deref(), heard.content.as_str()), (Some("peers"), "hello"));
    let page = NodeSendMessage {
        from_uri: "offhook@127.0.0.1".to_owned(),
        to_uri: format!("agent@{}", agent.address()),
        content: "hello back".to_owned(),
        ..Default::default()
    };
    let sent = app.client.call(&page).await.expect("a message on its way");
    let request = agent.request("MESSAGE", PATIENCE).await;
    assert!(request.text.ends_with("\r\n\r\nhello back"), "{}", request.text);
    agent.answer(&request, "404 Not Found").await;
    let pick = |kind: &EventKind| match kind {
        EventKind::NodeMessageCompleted(event) if event.message_id == sent.message_id => Some(event.clone()),
        _ => None,
    };
    let done = app.event("sys.node.on_message_completed", PATIENCE, pick).await;
    assert_eq!((done.error.expect("a refusal").code.as_str(), done.sip_status), ("refused", 404));
}
