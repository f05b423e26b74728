//! The example IVR: answers, greets, asks for digits and repeats them, records a message, calls an agent and connects
//! the two. Written on the public client only; a copy of it is a start for an application of your own.

use std::net::SocketAddr;

use offhook_client::wire::{CallState, Construct, EventKind, MediaStats, ReceiveDtmfStart, RecordStart};

use super::phone::KEYS;
use super::script::{Script, ScriptError, expect};

/// The recording of the caller, in the recordings directory.
pub(super) const MESSAGE: &str = "messages/caller.wav";

/// What the application has heard.
pub(super) struct Told {
    /// How many events.
    pub(super) events: u64,
    /// The number of the last.
    pub(super) last_seq: u64,
    /// The media with the caller.
    pub(super) caller: MediaStats,
    /// The media with the agent.
    pub(super) agent: MediaStats,
}

/// Serves one caller, and connects it with an agent at `agent`.
pub(super) async fn run(mut ivr: Script, agent: SocketAddr) -> Result<Told, ScriptError> {
    let caller = ivr
        .until("an incoming call", |event| {
            if let EventKind::Incoming(call) = event { Some(call.res_id) } else { None }
        })
        .await?;
    ivr.say("answer");
    ivr.client.answer(&caller, 60).await?;
    play(&mut ivr, &caller, "welcome.wav").await?;
    let keys = ask(&mut ivr, &caller).await?;
    let digits: Vec<String> = keys.chars().map(|key| format!("digits/{key}.wav")).collect();
    play(&mut ivr, &caller, &format!("you-entered.wav|{}", digits.join("|"))).await?;
    play(&mut ivr, &caller, "record-after-beep.wav").await?;
    record(&mut ivr, &caller).await?;
    play(&mut ivr, &caller, "connecting.wav").await?;
    let agent = dial(&mut ivr, agent).await?;
    connect(&mut ivr, &caller, &agent).await?;
    play(&mut ivr, &caller, "goodbye.wav").await?;

    let told = (ivr.client.get(&caller).await?, ivr.client.get(&agent).await?);
    if (told.0.state, told.1.state) != (CallState::Idle, CallState::Idle) {
        return Err(ScriptError::Unexpected(format!(
            "states at the end: {:?}, {:?}",
            told.0.state, told.1.state
        )));
    }
    for call in [&caller, &agent] {
        ivr.say("drop");
        ivr.client.drop_call(call, 603).await?;
        ivr.until("on_released", |event| {
            matches!(event, EventKind::Released(gone) if gone.res_id == *call).then_some(())
        })
        .await?;
    }
    Ok(Told { events: ivr.heard, last_seq: ivr.last_seq, caller: told.0.media, agent: told.1.media })
}

async fn play(ivr: &mut Script, call: &str, content: &str) -> Result<(), ScriptError> {
    ivr.say(&format!("play_start {content}"));
    ivr.client.play_start(call, content, "").await?;
    let ended = ivr
        .until("on_play_completed", |event| {
            if let EventKind::PlayCompleted(ended) = event { Some(ended) } else { None }
        })
        .await?;
    expect("the prompt", ended.error.as_ref(), None)
}

async fn ask(ivr: &mut Script, call: &str) -> Result<String, ScriptError> {
    ivr.say("receive_dtmf_start");
    let request = ReceiveDtmfStart {
        res_id: call.to_owned(),
        play_content: Some("ask-digits.wav".into()),
        max_keys: 10,
        finish_keys: "#".to_owned(),
        ..Default::default()
    };
    ivr.client.receive_dtmf_start(&request).await?;
    let ended = ivr
        .until("on_receive_dtmf_completed", |event| {
            if let EventKind::ReceiveDtmfCompleted(ended) = event { Some(ended) } else { None }
        })
        .await?;
    expect("the collection of digits", ended.error.as_ref(), None)?;
    if ended.keys != KEYS {
        return Err(ScriptError::Unexpected(format!("the caller pressed {KEYS}, {:?} came", ended.keys)));
    }
    Ok(ended.keys)
}

async fn record(ivr: &mut Script, call: &str) -> Result<(), ScriptError> {
    ivr.say("record_start");
    let request = RecordStart {
        res_id: call.to_owned(),
        max_seconds: 2,
        beep: true,
        record_file: MESSAGE.to_owned(),
        ..Default::default()
    };
    ivr.client.record_start(&request).await?;
    let ended = ivr
        .until("on_record_completed", |event| {
            if let EventKind::RecordCompleted(ended) = event { Some(ended) } else { None }
        })
        .await?;
    expect("the recording", ended.error.as_ref(), Some("max_seconds"))
}

async fn dial(ivr: &mut Script, agent: SocketAddr) -> Result<String, ScriptError> {
    ivr.say(&format!("construct sip:agent@{agent}"));
    let request = Construct {
        from_uri: "sip:ivr@127.0.0.1".to_owned(),
        to_uri: format!("sip:agent@{agent}").into(),
        max_answer_seconds: 60,
        ..Default::default()
    };
    let call = ivr.client.construct(&request).await?.res_id;
    let ended = ivr
        .until("on_dial_completed", |event| {
            if let EventKind::DialCompleted(ended) = event { Some(ended) } else { None }
        })
        .await?;
    expect("the outbound call", ended.error.as_ref(), None)?;
    Ok(call)
}

async fn connect(ivr: &mut Script, caller: &str, agent: &str) -> Result<(), ScriptError> {
    ivr.say("connect_start");
    ivr.client.connect_start(caller, agent, 4).await?;
    let ended = ivr
        .until("on_connect_completed", |event| {
            if let EventKind::ConnectCompleted(ended) = event { Some(ended) } else { None }
        })
        .await?;
    expect("the connection", ended.error.as_ref(), Some("max_seconds"))
}
