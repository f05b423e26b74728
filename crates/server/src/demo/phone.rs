//! The people at the phones: one calls the IVR, presses keys and speaks; the other is the agent that the IVR calls.

use std::net::SocketAddr;
use std::time::Duration;

use offhook_client::wire::{Construct, EventKind, PlayStart, RecordStart};

use super::script::{Script, ScriptError, expect};
use crate::clock;

/// What the caller enters when it is asked.
pub(super) const KEYS: &str = "2468";

/// What the agent hears, recorded at its phone.
pub(super) const HEARD: &str = "heard-by-agent.wav";

/// How the call went, as the phone sees it.
pub(super) struct Dialled {
    /// From `construct` to the answer.
    pub(super) post_dial: Duration,
}

/// Calls the IVR at `ivr`, and answers when it calls back.
pub(super) async fn run(mut phone: Script, ivr: SocketAddr) -> Result<Dialled, ScriptError> {
    let dialled = clock::now().mono;
    phone.say(&format!("construct sip:ivr@{ivr}"));
    let request = Construct {
        from_uri: "sip:alice@127.0.0.1".to_owned(),
        to_uri: format!("sip:ivr@{ivr}").into(),
        max_answer_seconds: 60,
        ..Default::default()
    };
    let caller = phone.client.construct(&request).await?.res_id;
    let ended = phone
        .until("on_dial_completed", |event| {
            if let EventKind::DialCompleted(ended) = event { Some(ended) } else { None }
        })
        .await?;
    let post_dial = dialled.elapsed();
    expect("the call to the IVR", ended.error.as_ref(), None)?;

    // Eight pauses of half a second: the caller listens for a while, then interrupts the question.
    let keys = format!(",,,,,,,,{KEYS}#");
    phone.say(&format!("send_dtmf_start {keys}"));
    phone.client.send_dtmf_start(&caller, &keys).await?;
    let sent = phone
        .until("on_send_dtmf_completed", |event| {
            if let EventKind::SendDtmfCompleted(ended) = event { Some(ended) } else { None }
        })
        .await?;
    expect("the sending of keys", sent.error.as_ref(), None)?;

    // From now on the caller speaks, over and over, until it is hung up.
    phone.say("play_start welcome.wav");
    let voice = PlayStart {
        res_id: caller.clone(),
        content: "welcome.wav".into(),
        repeat: 100,
        ..Default::default()
    };
    phone.client.call(&voice).await?;
    let agent = pick_up(&mut phone).await?;
    for call in [&caller, &agent] {
        phone
            .until("on_released", |event| {
                matches!(event, EventKind::Released(gone) if gone.res_id == *call).then_some(())
            })
            .await?;
    }
    Ok(Dialled { post_dial })
}

/// The agent answers and listens; it speaks no word, so what it records can only be the caller.
async fn pick_up(phone: &mut Script) -> Result<String, ScriptError> {
    let agent = phone
        .until("a call for the agent", |event| {
            if let EventKind::Incoming(call) = event { Some(call.res_id) } else { None }
        })
        .await?;
    phone.say("answer");
    phone.client.answer(&agent, 60).await?;
    phone.say("record_start");
    let request = RecordStart {
        res_id: agent.clone(),
        max_seconds: 30,
        record_file: HEARD.to_owned(),
        ..Default::default()
    };
    phone.client.record_start(&request).await?;
    Ok(agent)
}
