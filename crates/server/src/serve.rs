//! A whole server, from its configuration to its end.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use offhook_call::Calls;
use offhook_client::wire::{EventKind, OnNodeStarted};
use offhook_exchange::Exchange;
use offhook_media::event::{Alarms, Gain};
use offhook_media::sdp::{Destinations, Seed};
use offhook_sip::Endpoint;
use offhook_sip::event::{Remains, Transport};
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::sync::{mpsc, oneshot, watch};

use crate::cli::exit::Failure;
use crate::config::value::{Level, Listener};
use crate::config::{self, Config};
use crate::control::{self, Control};
use crate::control_handle::ControlHandle;
use crate::events::{self, Durability, EventWriter, Retention, Store};
use crate::files::Directory;
use crate::http::{self, HttpConfig};
use crate::input::{INPUTS, Input};
use crate::media::{self, Router};
use crate::net::{stream, udp};
use crate::notify::Notify;
use crate::ports::{self, Ports};
use crate::prompts::{self, Prompts};
use crate::reload::Reloader;
use crate::request_keys::RequestKeys;
use crate::serial::First;
use crate::speech::Speaker;
use crate::store::{self, Ledger, postgres};
use crate::webhooks::Webhooks;
use crate::{clock, gateways, recordings, serial};

/// How long the end may take after the calls have had their time: BYEs, the last events, also where the disk does not take them, and a
/// margin.
const ENDING: Duration = control::GOODBYE.saturating_mul(2).saturating_add(events::LAST_WAIT);

/// Threads that wait for prompt files and the name service.
const BLOCKING_THREADS: usize = 16;

/// Runs a server in the foreground until SIGTERM or SIGINT have ended it. SIGHUP reads the configuration again by `read`, whose level of
/// logging goes to `set_level`.
pub fn run(
    config: Config,
    read: impl Fn() -> Result<Config, Failure>,
    set_level: impl Fn(Level),
) -> Result<(), Failure> {
    runtime()?.block_on(async {
        let mut signals = Signals::new().map_err(|error| Failure::Failed(format!("no signals: {error}")))?;
        config.warnings().iter().for_each(|warning| tracing::warn!("{warning}"));
        let server = Server::start(config).await?;
        tracing::info!(rpc = %server.rpc, sip = %server.listening.join(" "), "ready");
        let notify = Notify::of_process();
        notify.ready();
        let watching = tokio::spawn(notify.clone().watch(server.asking.clone()));
        let (inputs, mut reloader) = (server.inputs.clone(), server.reloader.clone());
        let ended = server.ended();
        tokio::pin!(ended);
        let (mut drains, mut interrupted) = (false, false);
        loop {
            tokio::select! {
                signal = signals.next() => match signal {
                    Signal::HangUp if drains => {
                        tracing::warn!("the configuration is not read again: the node drains");
                    }
                    Signal::HangUp => {
                        notify.reloading();
                        match reload(&mut reloader, &read).await {
                            Ok(()) => set_level(reloader.config.log.level),
                            Err(failure) => tracing::error!("the configuration stays as it was: {failure}"),
                        }
                        notify.ready();
                    }
                    Signal::Interrupt | Signal::Terminate => {
                        notify.stopping(Duration::from_secs(reloader.config.limits.drain_seconds) + ENDING);
                        drains = true;
                        interrupted |= signal == Signal::Interrupt;
                        let _ = inputs.send(Input::Shutdown).await;
                    }
                },
                result = &mut ended => {
                    watching.abort();
                    tracing::info!("ended");
                    return match result {
                        Ok(()) if interrupted => Err(Failure::Interrupted),
                        result => result,
                    };
                }
            }
        }
    })
}

/// Takes over what can change of the configuration as it is now.
async fn reload(reloader: &mut Reloader, read: impl Fn() -> Result<Config, Failure>) -> Result<(), Failure> {
    let waiting = reloader.reload(&read()?).await?;
    reloader.config.warnings().iter().for_each(|warning| tracing::warn!("{warning}"));
    for key in waiting {
        tracing::warn!("{key} has changed: that waits for the next start");
    }
    tracing::info!(gateways = reloader.config.sip.gateway.len(), "the configuration has been reloaded");
    Ok(())
}

/// The runtime of RPC. One thread, on which tasks run first come, first served: so the requests of one connection reach
/// the control loop in the order in which they were sent.
pub fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().map_err(|error| Failure::Failed(format!("no runtime: {error}")))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Signal {
    Terminate,
    Interrupt,
    HangUp,
}

struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
    hang_up: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        // A file that has become as long as the process may make one is an error of its write, and no reason to die with
        // all calls. Nobody waits for the signal: to have it taken is enough.
        drop(signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw()))?);
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.terminate.recv() => Signal::Terminate,
            _ = self.interrupt.recv() => Signal::Interrupt,
            _ = self.hang_up.recv() => Signal::HangUp,
        }
    }
}

/// A running server.
#[derive(Debug)]
pub struct Server {
    /// Where applications reach it.
    pub rpc: SocketAddr,
    /// Where gateways reach it by UDP.
    pub sip: Vec<SocketAddr>,
    /// Where gateways reach it, as `sip.listen` has it, with the ports that were free.
    pub listening: Vec<String>,
    inputs: mpsc::Sender<Input>,
    asking: ControlHandle,
    reloader: Reloader,
    control: JoinHandle<io::Result<()>>,
    over: oneshot::Receiver<()>,
    store: JoinHandle<()>,
    copy: Option<postgres::Copy>,
    webhooks: Webhooks,
    stop_rpc: oneshot::Sender<()>,
    rpc_task: tokio::task::JoinHandle<()>,
}

impl Server {
    /// Opens every socket and directory of the configuration and begins to serve.
    pub async fn start(config: Config) -> Result<Self, Failure> {
        raise_descriptor_limit();
        let listener = tokio::net::TcpListener::bind(config.rpc.listen)
            .await
            .map_err(|error| taken("rpc.listen", config.rpc.listen, &error))?;
        let rpc = listener.local_addr().map_err(|error| taken("rpc.listen", config.rpc.listen, &error))?;
        let sockets = bind(&config)?;
        let local = sockets.local();

        let keep = Retention {
            bytes: config.events.keep_bytes,
            age: Duration::from_secs(config.events.keep_seconds),
        };
        // Whoever has the directory has its numbers: they are taken after it.
        let dir = config.node.data_dir.join("events");
        let claim = events::claim(&dir).map_err(|error| of_log(&dir, &error))?;
        let first = first_number(&config)?;
        let durability = Durability { sync: Duration::from_millis(config.events.sync_ms) };
        let (mut writer, log, mut store) =
            events::open(claim, keep, durability, first).map_err(|error| of_log(&dir, &error))?;
        let recordings = open_recordings(&config, &mut writer)?;
        let (farewells, copy) = record_calls(&config, &mut writer, &mut store)?;
        let keys = RequestKeys::open(&config.node.data_dir).map_err(|error| of_data_dir(&config, &error))?;
        let (configured, configured_hooks) = watch::channel(config.webhook.clone().into());
        let (webhooks, hooks) = Webhooks::start(&config, configured_hooks, log.clone())
            .map_err(|error| Failure::Failed(format!("webhooks: {error}")))?;
        let (tokens, good_tokens) = watch::channel(config.rpc.tokens.clone().into());
        let http = http_config(&config, good_tokens, copy.as_ref());
        let (sender, inputs) = mpsc::channel(INPUTS);
        let (asks_sender, asks) = mpsc::channel(control::ASKS);
        let parts = assemble(&config, (&local, rpc), &sender, (writer, farewells), recordings, first.number)?;
        let store = store.start().map_err(no_thread)?;
        let (over_sender, over) = oneshot::channel();
        let channel = (sender.clone(), inputs);
        let control = std::thread::Builder::new()
            .name("control".to_owned())
            .spawn(move || {
                let result = run_control(parts, sockets, channel, asks);
                let _ = over_sender.send(());
                result
            })
            .map_err(|error| Failure::Failed(format!("no thread: {error}")))?;

        let (stop_rpc, stopped) = oneshot::channel();
        let asking = ControlHandle::new(asks_sender);
        let control_of_rpc = asking.clone();
        let rpc_task = tokio::spawn(async move {
            let stopped = async { drop(stopped.await) };
            http::serve(listener, http, control_of_rpc, (log, keys, hooks), stopped).await;
        });
        let sip = of(Transport::Udp, &local);
        let name = |&(transport, address)| format!("{transport}:{address}").to_lowercase();
        let listening = local.iter().map(name).collect();
        let reloader = Reloader { config, local, rpc, tokens, webhooks: configured, inputs: sender.clone() };
        Ok(Self {
            rpc,
            sip,
            listening,
            inputs: sender,
            asking,
            reloader,
            control,
            over,
            store,
            copy,
            webhooks,
            stop_rpc,
            rpc_task,
        })
    }

    /// Drains the server and waits for its end.
    pub async fn shut_down(self) -> Result<(), Failure> {
        let _ = self.inputs.send(Input::Shutdown).await;
        self.ended().await
    }

    /// Waits for the end of the control loop, then stops serving applications: they hear the last events.
    async fn ended(self) -> Result<(), Failure> {
        let _ = self.over.await;
        // The last events are on the disk, and shown, when this thread has ended.
        let _ = tokio::task::spawn_blocking(|| self.store.join()).await;
        let _ = self.stop_rpc.send(());
        let hooks = tokio::task::spawn_blocking(|| self.webhooks.stop());
        let copied = tokio::task::spawn_blocking(|| self.copy.map(postgres::Copy::stop));
        let _ = self.rpc_task.await;
        let _ = hooks.await;
        let _ = copied.await;
        match self.control.join() {
            Ok(result) => result.map_err(|error| Failure::Failed(format!("control loop: {error}"))),
            Err(_) => Err(Failure::Failed("the control loop panicked".to_owned())),
        }
    }
}

fn run_control(
    parts: control::Parts,
    sockets: control::Sockets,
    channel: (mpsc::Sender<Input>, mpsc::Receiver<Input>),
    asks: mpsc::Receiver<crate::control_handle::Ask>,
) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS)
        .build()?;
    let result = tokio::task::LocalSet::new().block_on(&runtime, async {
        Control::start(parts, sockets, channel, asks)?.run().await;
        Ok(())
    });
    // A prompt on a disk that hangs must not hold up the end.
    runtime.shutdown_background();
    result
}

fn bind(config: &Config) -> Result<control::Sockets, Failure> {
    let mut sockets = control::Sockets::default();
    for listener in &config.sip.listen {
        match *listener {
            Listener::Udp(address) => {
                let socket =
                    udp::Listener::bind(address).map_err(|error| taken("sip.listen", address, &error))?;
                sockets.udp.push(socket);
            }
            Listener::Tcp(address) => sockets.tcp.push(bind_stream(address)?),
            Listener::Tls(address) => sockets.tls.push(bind_stream(address)?),
        }
    }
    Ok(sockets)
}

fn bind_stream(address: SocketAddr) -> Result<std::net::TcpListener, Failure> {
    stream::bind(address).map_err(|error| taken("sip.listen", address, &error))
}

/// The addresses of one transport.
fn of(transport: Transport, local: &[(Transport, SocketAddr)]) -> Vec<SocketAddr> {
    local.iter().filter(|(of, _)| *of == transport).map(|(_, address)| *address).collect()
}

/// Opens where recordings are, and completes those that the last run had open: they are told before the ends of their calls.
fn open_recordings(config: &Config, log: &mut EventWriter) -> Result<Directory, Failure> {
    let recordings = open_directory("media.recordings_dir", &config.media.recordings_dir)?;
    may_write("media.recordings_dir", &config.media.recordings_dir)?;
    // What another server is recording is not ours to complete, and its notes would be taken for ours.
    recordings.claim().map_err(|error| {
        let dir = config.media.recordings_dir.display();
        let own = "each server needs its own, which may be a folder in one that they share";
        let error = io::Error::new(error.kind(), format!("{error}; {own}"));
        Failure::io(&format!("media.recordings_dir = {dir:?}"), &error)
    })?;
    events::append_recovered(log, clock::now().wall, recordings::recover(&recordings));
    Ok(recordings)
}

fn assemble(
    config: &Config,
    (local, rpc): (&[(Transport, SocketAddr)], SocketAddr),
    inputs: &mpsc::Sender<Input>,
    (mut log, farewells): (EventWriter, Vec<Remains>),
    recordings: Directory,
    first_serial: u64,
) -> Result<control::Parts, Failure> {
    let prompts = open_directory("media.prompts_dir", &config.media.prompts_dir)?;
    let speaker = Speaker::of(&config.speech, &config.node.data_dir)
        .map_err(|error| Failure::Failed(format!("speech: {error}")))?;
    let prompts = Prompts::new(prompts, config.media.prompt_cache_bytes).speaking(speaker.map(Arc::new));
    let prompts = prompts::start(prompts, inputs).map_err(no_thread)?;
    let started = OnNodeStarted {
        process_id: std::process::id().into(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    log.append(clock::now().wall.0, EventKind::NodeStarted(started));
    let min_free = config.media.recordings_min_free_bytes;
    let recordings = recordings::start(recordings, min_free, inputs).map_err(no_thread)?;
    let threads = if config.media.threads == 0 { media::default_threads() } else { config.media.threads };
    let router = Router::start(threads, &config.media, inputs, &recordings, seed).map_err(no_thread)?;
    let random = u64::from_ne_bytes(seed()[..8].try_into().unwrap_or_default());
    let most = ports::most_pairs(getrlimit(Resource::Nofile).current);
    let ports = Ports::new(config.rtp.address, config.rtp.ports.rtp_ports(), random, most);
    let ours = local.iter().map(|&(_, address)| address).chain([rpc]).collect();
    let mut calls = Calls::new(call_config(config, ours), first_serial);
    calls.set_gateways(config.sip.gateway.iter().map(gateways::outbound).collect());
    Ok(control::Parts {
        exchange: Exchange::new(Endpoint::new(sip_config(config, local), seed()), calls),
        router,
        ports,
        prompts,
        recordings,
        log,
        farewells: farewells.into(),
        node: config.node.id,
        process_id: std::process::id().into(),
        sip: config.sip.clone(),
        drain: Duration::from_secs(config.limits.drain_seconds),
    })
}

fn http_config(config: &Config, tokens: http::Tokens, copy: Option<&postgres::Copy>) -> HttpConfig {
    HttpConfig {
        tokens,
        node: config.node.id,
        process_id: std::process::id().into(),
        data_dir: config.node.data_dir.as_path().into(),
        language: config.media.language.into(),
        event_streams: config.events.streams,
        copy: copy.map(postgres::Copy::progress),
    }
}

/// What the SIP user agent is told.
pub(crate) fn sip_config(config: &Config, local: &[(Transport, SocketAddr)]) -> offhook_sip::Config {
    let mut sip = offhook_sip::Config::new(of(Transport::Udp, local));
    sip.timers.t1 = Duration::from_millis(config.sip.t1_ms);
    sip.timers.t2 = Duration::from_millis(config.sip.t2_ms);
    sip.tcp = of(Transport::Tcp, local);
    sip.tls = of(Transport::Tls, local);
    sip.user_agent.clone_from(&config.sip.user_agent);
    sip.advertise = Some(config.sip.advertise.to_string()).filter(|text| !text.is_empty());
    sip.gateways = config.sip.gateway.iter().map(gateways::inbound).collect();
    sip.strangers = config.sip.strangers.into();
    sip.source_rate = config.limits.source_requests_per_second;
    sip.stranger_rate = config.limits.stranger_requests_per_second;
    sip.session_timer.request = config.sip.session_timer;
    sip.session_timer.expires = Duration::from_secs(config.sip.session_expires_seconds);
    sip.session_timer.min = Duration::from_secs(config.sip.min_se_seconds);
    sip.reliable_provisionals = config.sip.reliable_provisionals;
    sip.max_sessions = config.limits.calls;
    sip.max_transactions = sip.max_transactions.max(transactions(&config.limits, &sip.timers));
    sip
}

/// How many transactions the rate of calls needs: each stays for 64·T1 after it has been answered, so that repeated
/// requests are recognised. A call that is refused for coming too fast is one of them: a gateway that goes on so fills the
/// table, and then new calls of everyone are refused without a trace until its budget (`source_requests_per_second`)
/// or these 32 s have thinned it. Established calls have as much room again, for themselves alone.
fn transactions(limits: &config::Limits, timers: &offhook_sip::Timers) -> usize {
    /// INVITE and BYE, and as much again for what happens in between.
    const OF_A_CALL: u64 = 4;
    let stay = (timers.t1 * 64).as_secs() + 1;
    let most = u64::from(limits.calls_per_second).saturating_mul(OF_A_CALL).saturating_mul(stay);
    usize::try_from(most).unwrap_or(usize::MAX)
}

/// What the calls are told; `ours` are our own addresses, where no media goes.
pub(crate) fn call_config(config: &Config, ours: Vec<SocketAddr>) -> offhook_call::Config {
    let networks = config.rtp.allowed_networks.iter().map(|network| network.0.addresses()).collect();
    offhook_call::Config {
        media_address: config.sip.advertise.address.unwrap_or(config.rtp.address),
        codecs: config.rtp.codecs.iter().map(|name| name.0).collect(),
        ptime_ms: config.rtp.ptime_ms,
        comfort_noise: config.rtp.comfort_noise,
        rtcp_mux: config.rtp.rtcp_mux,
        seed: Seed(seed()),
        max_calls: config.limits.calls,
        max_calls_per_second: config.limits.calls_per_second,
        max_conferences: config.limits.conferences,
        conference_background: Gain::from_decibels(config.media.conference_background_db),
        incoming_timeout: Duration::from_secs(config.limits.incoming_timeout_seconds),
        idle_timeout: Duration::from_secs(config.limits.idle_timeout_seconds),
        transfer_timeout: Duration::from_secs(config.limits.transfer_timeout_seconds),
        tones: config.rtp.dtmf.into(),
        country: config.media.country.0,
        destinations: Arc::new(Destinations { networks, ours }),
        silence_timeout: unless_zero(config.rtp.timeout_seconds),
        unheard_limit: unless_zero(config.rtp.unheard_seconds),
        symmetric: config.rtp.symmetric,
        idle: config.rtp.idle.into(),
        alarms: Alarms {
            loss_percent: Some(config.rtp.loss_alarm_percent).filter(|percent| *percent > 0),
            one_way_after: unless_zero(config.rtp.one_way_seconds),
        },
    }
}

/// A time limit, which is none at 0.
fn unless_zero(seconds: u64) -> Option<Duration> {
    (seconds > 0).then(|| Duration::from_secs(seconds))
}

/// The first number of this run, for calls and for events: above every one of former runs.
fn first_number(config: &Config) -> Result<First, Failure> {
    serial::reserve(&config.node.data_dir, clock::now().wall).map_err(|error| of_data_dir(config, &error))
}

fn of_data_dir(config: &Config, error: &io::Error) -> Failure {
    of_directory("node.data_dir", &config.node.data_dir, error)
}

fn of_log(dir: &Path, error: &io::Error) -> Failure {
    Failure::io(&format!("event log in {:?}", dir.display()), error)
}

/// Has calls recorded, and copied to where the configuration says, and tells of those that the last server has left: what is to be ended
/// of them is given.
fn record_calls(
    config: &Config,
    writer: &mut EventWriter,
    store: &mut Store,
) -> Result<(Vec<Remains>, Option<postgres::Copy>), Failure> {
    let data_dir = &config.node.data_dir;
    let path = data_dir.join(store::FILE);
    let fault = |error: io::Error| Failure::io(&format!("call records in {:?}", path.display()), &error);
    let keep = (config.cdr.keep_days > 0).then(|| Duration::from_secs(config.cdr.keep_days * 86_400));
    let of_copy = |error: io::Error| Failure::Failed(format!("cdr.postgres: {error}"));
    let plan = postgres::Plan::of(&config.cdr, data_dir).map_err(of_copy)?;
    let progress = plan.as_ref().map(postgres::Plan::progress);
    let mut ledger =
        Ledger::open(data_dir, keep).and_then(|ledger| ledger.copied_by(progress)).map_err(fault)?;
    let dialogs =
        store::recover(&mut ledger, writer, store.last_found(), clock::now().wall).map_err(fault)?;
    events::record_calls(writer, store, ledger);
    let copy = plan.map(|plan| plan.start(data_dir)).transpose().map_err(of_copy)?;
    Ok((dialogs, copy))
}

fn open_directory(key: &str, path: &Path) -> Result<Directory, Failure> {
    Directory::open(path).map_err(|error| of_directory(key, path, &error))
}

/// Where files are to be made that may be: told at the start, and not by every call. Whether there is room is another matter, which passes.
fn may_write(key: &str, path: &Path) -> Result<(), Failure> {
    let access = rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK;
    rustix::fs::access(path, access).map_err(|errno| of_directory(key, path, &errno.into()))
}

fn of_directory(key: &str, path: &Path, error: &io::Error) -> Failure {
    Failure::io(&format!("{key} = {:?}", path.display()), error)
}

fn taken(key: &str, address: SocketAddr, error: &io::Error) -> Failure {
    Failure::io(&format!("{key}: cannot listen on {address}"), error)
}

fn no_thread(error: io::Error) -> Failure {
    Failure::Failed(format!("no thread: {error}"))
}

/// Secrets of the cores come from the operating system.
fn seed() -> [u8; 32] {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).expect("the operating system has random numbers");
    seed
}

/// A call needs two descriptors, so the soft limit of 1,024 that shells set would end at 500 calls.
fn raise_descriptor_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
}
