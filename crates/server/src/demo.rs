//! `offhook demo`: a first call with no phone, no gateway and no configuration.
//!
//! ```text
//!   ivr.rs ──RPC──▶ offhook A ◀──SIP, RTP over loopback──▶ offhook B ◀──RPC── phone.rs
//!   (an example application)                               (a caller, and an agent to connect with)
//! ```
//! Two whole servers, each on free ports. Both scripts use nothing but the public client: what they do, any application
//! can do. The demo succeeds only if every step was seen and heard.

mod ivr;
mod phone;
mod prompts;
mod script;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use offhook_media::file;

use crate::cli::exit::Failure;
use crate::config::Config;
use crate::config::value::Listener;
use crate::serve::{Server, runtime};
use script::{Script, ScriptError};

/// The whole demo takes about 25 s; a machine on which it takes longer has a problem.
const DEADLINE: Duration = Duration::from_secs(40);

/// What counts as a voice in a recording: the loudness over the whole of it, in dB below full scale.
const VOICE_DBFS: f64 = -45.0;

/// Runs the demo; every step that is missing is a failure.
pub fn run() -> Result<(), Failure> {
    runtime()?.block_on(async {
        match tokio::time::timeout(DEADLINE, demonstrate()).await {
            Ok(result) => result,
            Err(_) => Err(Failure::Failed(format!("the demo was not over after {} s", DEADLINE.as_secs()))),
        }
    })
}

async fn demonstrate() -> Result<(), Failure> {
    let base = std::env::temp_dir().join(format!("offhook-demo-{}", std::process::id()));
    prompts::unpack(&base.join("prompts")).map_err(|error| Failure::io("demo prompts", &error))?;
    let node = Server::start(configuration(&base, "ivr")).await?;
    let phones = Server::start(configuration(&base, "phones")).await?;
    println!("offhook is up: JSON-RPC at ws://{}/rpc, SIP at udp:{}", node.rpc, first(&node)?);
    println!("two phones are up at udp:{}; one of them dials", first(&phones)?);
    println!();

    let ivr = Script::connect("ivr", node.rpc).await.map_err(failed("ivr"))?;
    let phone = Script::connect("phone", phones.rpc).await.map_err(failed("phone"))?;
    let (ivr_sip, phone_sip) = (first(&node)?, first(&phones)?);
    let (told, dialled) =
        tokio::try_join!(async { ivr::run(ivr, phone_sip).await.map_err(failed("ivr")) }, async {
            phone::run(phone, ivr_sip).await.map_err(failed("phone"))
        },)?;
    node.shut_down().await?;
    phones.shut_down().await?;
    report(&base, &told, &dialled)
}

fn configuration(base: &Path, name: &str) -> Config {
    let mut config = Config::default();
    let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    config.sip.listen = vec![Listener::Udp(any_port)];
    config.rpc.listen = any_port;
    config.node.data_dir = base.join(name).join("data");
    config.media.prompts_dir = base.join("prompts");
    config.media.recordings_dir = recordings(base, name);
    config.limits.drain_seconds = 0;
    config
}

fn recordings(base: &Path, name: &str) -> PathBuf {
    base.join(name).join("recordings")
}

fn first(server: &Server) -> Result<SocketAddr, Failure> {
    server.sip.first().copied().ok_or_else(|| Failure::Failed("no SIP socket".to_owned()))
}

fn failed(who: &'static str) -> impl Fn(ScriptError) -> Failure {
    move |error| Failure::Failed(format!("{who}: {error}"))
}

fn report(base: &Path, ivr: &ivr::Told, phone: &phone::Dialled) -> Result<(), Failure> {
    let message = recordings(base, "ivr").join(ivr::MESSAGE);
    let heard = recordings(base, "phones").join(phone::HEARD);
    println!();
    println!("what the caller said after the beep:      {}", spoken(&message)?);
    println!("what the agent heard over the connection: {}", spoken(&heard)?);
    println!();
    println!(
        "post-dial delay   {:>6.1} ms from construct to answered",
        phone.post_dial.as_secs_f64() * 1000.0
    );
    println!(
        "events            {:>6}    heard by the application, the last with seq {}",
        ivr.events, ivr.last_seq
    );
    for (leg, media) in [("caller", ivr.caller), ("agent", ivr.agent)] {
        println!(
            "RTP with {leg:<6}   {:>6}    packets sent, {} received, {} lost, jitter {:.2} ms",
            media.packets_sent, media.packets_received, media.packets_lost, media.jitter_ms
        );
    }
    // The agent listens and speaks no word.
    if ivr.caller.packets_sent == 0 || ivr.caller.packets_received == 0 || ivr.agent.packets_sent == 0 {
        return Err(Failure::Failed("media did not flow as it should have".to_owned()));
    }
    println!();
    println!("every step was seen; the files stay in {}", base.display());
    Ok(())
}

/// Names a recording, with its length and loudness, and makes sure that there is a voice on it.
fn spoken(path: &Path) -> Result<String, Failure> {
    let file = std::fs::File::open(path).map_err(|error| Failure::io(&path.display().to_string(), &error))?;
    let samples = file::decode(file, "recording.wav")
        .map_err(|error| Failure::Failed(format!("{} cannot be played: {error:?}", path.display())))?;
    let energy: f64 = samples.iter().map(|&sample| (f64::from(sample) / 32_768.0).powi(2)).sum();
    let level: f64 = 10.0 * (energy / (samples.len().max(1)) as f64).log10();
    if level.is_nan() || level < VOICE_DBFS {
        return Err(Failure::Failed(format!("{} is silent ({level:.0} dB)", path.display())));
    }
    Ok(format!("{} ({:.1} s, {level:.0} dB)", path.display(), samples.len() as f64 / 8_000.0))
}
