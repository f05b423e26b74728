//! The README's first call: answers every call, plays a prompt, hangs up. `#` skips the prompt.
//!
//! ```sh
//! OFFHOOK_MEDIA__PROMPTS_DIR=fixtures/prompts cargo run --package offhook -- serve
//! cargo run --package offhook-client --example ivr
//! ```

use offhook_client::wire::EventKind;
use offhook_client::{Client, Error};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let client = Client::connect("ws://127.0.0.1:8080/rpc", None).await?;
    let mut events = client.subscribe(None, None).await?;
    while let Some(event) = events.next().await {
        let event = event?;
        println!("{}", event.raw);
        let done = match event.kind {
            EventKind::Incoming(call) => client.answer(&call.res_id, 3600).await,
            EventKind::AnswerCompleted(call) if call.error.is_none() => {
                client.play_start(&call.res_id, "welcome.wav", "#").await
            }
            EventKind::PlayCompleted(call) if call.error.is_none() => {
                client.drop_call(&call.res_id, 603).await
            }
            _ => Ok(()),
        };
        // The caller may hang up at any moment: a request that comes too late is no reason to stop answering others.
        if let Err(error) = done {
            eprintln!("{error}");
        }
    }
    Ok(())
}
