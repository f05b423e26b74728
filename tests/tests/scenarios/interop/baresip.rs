//! baresip, whose re-INVITEs and REFERs are its own.

use offhook_client::wire::{TransferAccept, TransferNotify};
use offhook_tests::app::App;
use offhook_tests::baresip::Baresip;
use offhook_tests::server::Server;
use offhook_tests::wav::Signal;

use super::events::{held, transfer_requested};

/// A baresip that says nothing, in a call that the application has answered.
async fn in_a_call(server: &Server, app: &mut App) -> (Baresip, String) {
    let silence = server.dir().join("silence.wav");
    Signal(vec![0.0; 8000 * 30]).write(&silence);
    let mut phone = Baresip::start(&silence, server.dir()).await;
    let uri = format!("sip:service@{}", server.sip());
    let ((), call) = tokio::join!(phone.call(&uri), app.answer());
    (phone, call)
}

/// Every offer of its is refused where it is not well made: what it makes of hold is its own.
#[tokio::test]
async fn baresip_holds_the_call_in_a_prompt() {
    let server = Server::start("phone-hold").await;
    let mut app = App::connect(&server).await;
    let (mut phone, call) = in_a_call(&server, &mut app).await;
    app.client
        .play_start(&call, "welcome.wav|welcome.wav|welcome.wav|welcome.wav", "")
        .await
        .expect("a play");
    phone.command("hold").await;
    assert!(held(&mut app, &call).await);
    phone.command("resume").await;
    assert!(!held(&mut app, &call).await);
    assert_eq!(app.played(&call).await.error, None);
    phone.hang_up().await;
    assert_eq!(app.released(&call).await.cause, 200);
    app.check_order();
}

#[tokio::test]
async fn baresip_transfers_the_call() {
    let server = Server::start("phone-transfer").await;
    let mut app = App::connect(&server).await;
    let (mut phone, call) = in_a_call(&server, &mut app).await;
    phone.command("transfer sip:carol@127.0.0.1").await;
    let wish = transfer_requested(&mut app).await;
    assert_eq!((&*wish.res_id, &*wish.to_uri), (&*call, "sip:carol@127.0.0.1"));
    app.client.call(&TransferAccept { res_id: call.clone() }).await.expect("a transfer taken");
    app.client.call(&TransferNotify { res_id: call.clone(), sip_status: 200 }).await.expect("its end told");
    assert_eq!(app.released(&call).await.cause, 200);
    app.check_order();
}
