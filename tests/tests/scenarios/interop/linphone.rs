//! linphone, whose re-INVITEs and REFERs are its own.

use offhook_client::wire::{ReceiveDtmfStart, TransferAccept, TransferNotify};
use offhook_tests::app::{self, App};
use offhook_tests::linphone::Linphone;
use offhook_tests::server::Server;
use offhook_tests::wait::PATIENCE;
use offhook_tests::wav::Signal;

use super::events::{held, transfer_requested};

/// Its jitter buffer drops and stretches what a busy machine brings late; half a second of the prompt comes through as it
/// was sent, at least.
fn assert_heard(heard: &Signal, prompt: &Signal) {
    let pieces = prompt.0.chunks_exact(4000).map(|piece| heard.find(&Signal(piece.to_vec())));
    let best = pieces.max_by(|a, b| a.correlation.total_cmp(&b.correlation)).expect("a prompt");
    assert!(best.correlation > 0.9, "{best:?}");
}

#[tokio::test]
async fn linphone_hears_the_prompt_and_presses_keys() {
    let server = Server::start("linphone-in").await;
    let mut app = App::connect(&server).await;
    let mut phone = Linphone::start(server.dir()).await;
    let uri = format!("sip:service@{}", server.sip());
    let ((), call) = tokio::join!(phone.call(&uri), app.answer());

    app.client.play_start(&call, "welcome.wav|thank-you.wav", "").await.expect("a play");
    assert_eq!(app.played(&call).await.error, None);
    let collect = ReceiveDtmfStart { res_id: call.clone(), max_keys: 5, ..Default::default() };
    app.client.receive_dtmf_start(&collect).await.expect("a collection");
    for key in ["4", "7", "1", "1", "#"] {
        phone.type_in(key).await;
    }
    let collected = app.keys(&call).await;
    assert_eq!((collected.keys.as_str(), collected.finish_key.as_deref()), ("4711", Some("#")));
    phone.type_in("terminate").await;
    assert_eq!(app.released(&call).await.cause, 200);
    app.check_order();

    phone.said("ended").await;
    let heard = Signal::read(&phone.quit().await);
    assert_heard(&heard, &Signal::read(&server.prompt("welcome.wav")));
}

#[tokio::test]
async fn linphone_is_called() {
    let server = Server::start("linphone-out").await;
    let mut app = App::connect(&server).await;
    let mut phone = Linphone::start(server.dir()).await;
    let call = app.dial_with(app::to(phone.address())).await;
    phone.said("Receiving new incoming call").await;
    phone.type_in("answer").await;
    assert_eq!(app.dialled(&call, PATIENCE).await.error, None);
    app.hang_up(&call).await;
    assert_eq!(app.released(&call).await.cause, 200);
    phone.said("ended").await;
    app.check_order();
}

/// It holds the call by a re-INVITE with `a=sendonly`, and takes it back (RFC 3264 §8.4).
#[tokio::test]
async fn linphone_holds_the_call_in_a_prompt() {
    let server = Server::start("linphone-hold").await;
    let mut app = App::connect(&server).await;
    let mut phone = Linphone::start(server.dir()).await;
    let uri = format!("sip:service@{}", server.sip());
    let ((), call) = tokio::join!(phone.call(&uri), app.answer());
    app.client
        .play_start(&call, "welcome.wav|welcome.wav|welcome.wav|welcome.wav", "")
        .await
        .expect("a play");
    phone.type_in("pause").await;
    assert!(held(&mut app, &call).await);
    // Before that it knows of nothing to resume.
    phone.said("is now paused").await;
    phone.type_in("resume").await;
    assert!(!held(&mut app, &call).await);
    assert_eq!(app.played(&call).await.error, None);
    app.hang_up(&call).await;
    assert_eq!(app.released(&call).await.cause, 200);
    phone.said("ended").await;
    app.check_order();
    let heard = Signal::read(&phone.quit().await);
    assert_heard(&heard, &Signal::read(&server.prompt("welcome.wav")));
}

/// Its transfer is a REFER, and it hangs up once the new call is said to be answered (RFC 3515 §2.4.5).
#[tokio::test]
async fn linphone_transfers_the_call() {
    let server = Server::start("linphone-transfer").await;
    let mut app = App::connect(&server).await;
    let mut phone = Linphone::start(server.dir()).await;
    let uri = format!("sip:service@{}", server.sip());
    let ((), call) = tokio::join!(phone.call(&uri), app.answer());
    phone.type_in("transfer sip:carol@127.0.0.1").await;
    let wish = transfer_requested(&mut app).await;
    assert_eq!((&*wish.res_id, &*wish.to_uri), (&*call, "sip:carol@127.0.0.1"));
    app.client.call(&TransferAccept { res_id: call.clone() }).await.expect("a transfer taken");
    app.client.call(&TransferNotify { res_id: call.clone(), sip_status: 200 }).await.expect("its end told");
    assert_eq!(app.released(&call).await.cause, 200);
    phone.said("ended").await;
    app.check_order();
}
