//! The one HTTP port: `/rpc` (WebSocket and POST), `/sys/events`, `/sys/subscribe_events`,
//! `/healthz`, `/readyz`, `/metrics`, and the console at `/`.
//!
//! ```text
//!   accept ─▶ guard (origin, token) ─▶ /rpc      ─▶ JSON-RPC, WebSocket or POST
//!                                   ├▶ /healthz  ─▶ 200
//!                                   └▶ /readyz, /metrics ─▶ the control loop
//! ```
//! Every connection has its bounds in time and in bytes, so that one that is slow or hostile costs no other anything.

mod console;
mod guard;
mod messages;
mod stall;
mod stream;
mod subscribe;
mod words;

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use jsonrpsee::core::BoxError;
use jsonrpsee::server::middleware::rpc::RpcServiceBuilder;
use jsonrpsee::server::{
    BatchRequestConfig, HttpBody, PingConfig, Server, ServerConfig, StopHandle, stop_channel, ws,
};
use offhook_call::id::NodeId;
use offhook_call::prompt::Language;
use offhook_client::wire::{self, ErrorData};
use serde::de::IgnoredAny;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc, watch};
use tower::Service;

use crate::config::secret::Token;
use crate::control_handle::ControlHandle;
use crate::events::{EventLog, Groups};
use crate::metrics::{self, Requests};
use crate::request_keys::RequestKeys;
use crate::room::{self, ROOM, Room};
use crate::rpc::{self, Forbidden, Known, Link, NodeName, Transport};
use crate::store::Progress;
use crate::webhooks::WebhooksHandle;
use guard::Admitted;
use messages::Messages;
use stall::{Order, Stall};
use stream::Stream;

/// How long accepting rests after a failure.
const ACCEPT_REST: Duration = Duration::from_millis(100);
/// The largest request body, and the largest WebSocket message, in bytes.
const BODY_MAX: u32 = 1 << 20;
/// The most requests in a batch.
const BATCH_MAX: u32 = 100;
/// The most connections at a time; more are closed at once. Applications are a few, each with a connection or two.
const CONNECTIONS_MAX: u32 = 1_024;
/// The most messages on their way to one WebSocket, at some kilobytes each; then its senders wait.
const MESSAGES_WAITING: u32 = 256;
/// How long the head of a request may take, and how long a connection may be kept without one.
const HEAD_TIME: Duration = Duration::from_secs(30);
/// How long the body of a request may take, and a message of a WebSocket.
const BODY_TIME: Duration = Duration::from_secs(30);
/// How often a WebSocket is asked whether it is still there.
const PING_EVERY: Duration = Duration::from_secs(5);
/// How long subscriptions may take at the end to send what is left.
const CLOSING_TIME: Duration = Duration::from_secs(2);

/// The tokens that are good now.
pub type Tokens = watch::Receiver<Arc<[Token]>>;

/// Who serves, and whom.
#[derive(Clone)]
pub struct HttpConfig {
    /// Tokens, one of which `/rpc` wants as `Authorization: Bearer …`; empty: it wants none. They may change.
    pub tokens: Tokens,
    /// The numbers that begin every `res_id`.
    pub node: NodeId,
    /// The process, below 2^53.
    pub process_id: u64,
    /// Where the records of calls are.
    pub data_dir: Arc<Path>,
    /// What values are said in where an item of a play list names no language.
    pub language: Language,
    /// The most connections to `/sys/events` at a time.
    pub event_streams: usize,
    /// How far the copy of call records is, where there is one.
    pub copy: Option<Arc<Progress>>,
}

impl fmt::Debug for HttpConfig {
    // Tokens stay out of logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpConfig").field("node", &self.node).finish_non_exhaustive()
    }
}

/// What the requests of one connection need.
#[derive(Clone)]
struct Line {
    /// Where it is told what to do.
    orders: mpsc::Sender<Order>,
    /// What its subscriptions know of it.
    link: Link,
}

/// What the requests of all connections need.
#[derive(Clone)]
struct Shared {
    tokens: Tokens,
    control: ControlHandle,
    webhooks: WebhooksHandle,
    copy: Option<Arc<Progress>>,
    stream: Stream,
    requests: Arc<Requests>,
    room: Room,
}

/// Serves on `listener` until `shutdown`; then takes no more connections, lets subscriptions send what is in the log,
/// and returns.
pub async fn serve(
    listener: TcpListener,
    config: HttpConfig,
    control: ControlHandle,
    (log, keys, webhooks): (Arc<EventLog>, RequestKeys, WebhooksHandle),
    shutdown: impl Future<Output = ()>,
) {
    let (subscriptions, mut subscribed) = watch::channel(0);
    let (applications, acting) = watch::channel(0);
    let hooks = webhooks.listeners();
    let (closing_tx, closing) = watch::channel(false);
    let (stop, stopping) = stop_channel();
    let node = NodeName { id: config.node, process_id: config.process_id, language: config.language };
    let (keys, groups) = (Arc::new(keys), Arc::new(Groups::default()));
    let watched = groups.clone();
    let shared = Shared {
        tokens: config.tokens,
        control: control.clone(),
        webhooks: webhooks.clone(),
        copy: config.copy,
        stream: Stream::new(log.clone(), config.node, config.event_streams, closing.clone()),
        requests: Arc::default(),
        room: Room::new(),
    };
    let context = rpc::Context {
        node,
        control: control.clone(),
        log,
        data_dir: config.data_dir,
        groups,
        keys,
        webhooks,
        subscriptions,
        applications,
        closing,
    };
    let told = tokio::spawn(tell_applications(control.clone(), acting, hooks));
    let watched = tokio::spawn(async move { rpc::drop_deserted(&watched, config.node, &control).await });
    let accepting = accept(listener, shared, context, stop);
    tokio::select! {
        never = accepting => match never {},
        () = shutdown => {}
    }
    let _ = closing_tx.send(true);
    let all_ended = subscribed.wait_for(|count| *count == 0);
    if tokio::time::timeout(CLOSING_TIME, all_ended).await.is_err() {
        tracing::warn!(subscriptions = *subscribed.borrow(), "not all subscribers have read to the end");
    }
    let _ = stopping.stop();
    told.abort();
    watched.abort();
}

/// Tells the control loop how many hear of inbound calls and can act on them, whenever that changes: the last number always
/// arrives. A web hook is one: what it hears it acts on by POST.
async fn tell_applications(
    control: ControlHandle,
    mut subscribed: watch::Receiver<usize>,
    mut hooks: watch::Receiver<usize>,
) {
    let mut told = 0;
    loop {
        let count = *subscribed.borrow_and_update() + *hooks.borrow_and_update();
        if std::mem::replace(&mut told, count) != count {
            control.set_applications(count).await;
        }
        let changed = tokio::select! {
            changed = subscribed.changed() => changed,
            changed = hooks.changed() => changed,
        };
        if changed.is_err() {
            return;
        }
    }
}

async fn accept(
    listener: TcpListener,
    shared: Shared,
    context: rpc::Context,
    stop: StopHandle,
) -> Infallible {
    let module = rpc::module(context);
    let (scopes, requests) = (Arc::new(rpc::scopes(&module)), shared.requests.clone());
    let known = move |inner| Known::new(inner, scopes.clone(), requests.clone());
    let rpc = Server::builder()
        .set_config(rpc_config())
        .set_rpc_middleware(RpcServiceBuilder::new().layer_fn(known))
        .to_service_builder();
    let methods: jsonrpsee::Methods = module.into();
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX as usize));
    loop {
        let (socket, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of descriptors, most likely: waiting is all that helps, and it must not spin.
                tracing::warn!(%error, "cannot accept a connection");
                pause_accepting().await;
                continue;
            }
        };
        let Ok(place) = places.clone().try_acquire_owned() else {
            tracing::warn!(%peer, limit = CONNECTIONS_MAX, "too many connections");
            continue;
        };
        let service = rpc.clone().build(methods.clone(), stop.clone());
        let stopped = stop.clone().shutdown();
        // Enough for every order that there is.
        let (orders, obeyed) = mpsc::channel(2);
        let (decided, fate) = watch::channel(None);
        let line = Line { orders, link: Link { peer, fate } };
        let socket = Stall::new((socket, peer), place, obeyed, decided);
        tokio::spawn(connection(socket, service, (shared.clone(), line), stopped));
    }
}

fn rpc_config() -> ServerConfig {
    // Whether a pong comes is looked at by `Stall`, which knows when a ping went out.
    let ping = PingConfig::new().ping_interval(PING_EVERY).inactive_limit(Duration::MAX);
    ServerConfig::builder()
        .max_request_body_size(BODY_MAX)
        .set_batch_request_config(BatchRequestConfig::Limit(BATCH_MAX))
        .max_connections(CONNECTIONS_MAX)
        .set_message_buffer_capacity(MESSAGES_WAITING)
        .enable_ws_ping(ping)
        .build()
}

/// One connection, to its end or until the server stops. A WebSocket lives on after it, with the library.
async fn connection<S>(
    socket: Stall,
    rpc: S,
    (shared, line): (Shared, Line),
    stopped: impl Future<Output = ()>,
) where
    S: Service<Request<HttpBody>, Response = Response<HttpBody>, Error = BoxError> + Clone + Send + 'static,
    S::Future: Send,
{
    let service = service_fn(move |request| {
        let (rpc, shared, line) = (rpc.clone(), shared.clone(), line.clone());
        async move { Ok::<_, Infallible>(route(rpc, &shared, line, request).await) }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .serve_connection(TokioIo::new(socket), service)
        .with_upgrades();
    tokio::pin!(connection);
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = stopped => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(%error, "a connection broke");
    }
}

async fn route<S>(rpc: S, shared: &Shared, line: Line, request: Request<Incoming>) -> Response<HttpBody>
where
    S: Service<Request<HttpBody>, Response = Response<HttpBody>, Error = BoxError>,
{
    match (request.uri().path(), request.method()) {
        ("/healthz", &(Method::GET | Method::HEAD)) => json(StatusCode::OK, &json!({ "status": "ok" })),
        ("/healthz", _) => json(StatusCode::METHOD_NOT_ALLOWED, &json!({ "error": "GET is required" })),
        ("/readyz", &(Method::GET | Method::HEAD)) => show_readiness(&shared.control).await,
        ("/metrics", &(Method::GET | Method::HEAD)) => show_metrics(shared).await,
        ("/", &(Method::GET | Method::HEAD)) => console::page(),
        ("/" | "/metrics" | "/readyz", _) => {
            json(StatusCode::METHOD_NOT_ALLOWED, &json!({ "error": "GET is required" }))
        }
        ("/rpc", _) => {
            let admitted = guard::admit(request.headers(), &shared.tokens.borrow());
            match admitted {
                Ok(admitted) => {
                    if ws::is_upgrade_request(&request) {
                        cut_without(&shared.tokens, admitted.token.clone(), line.orders.clone());
                    }
                    call(rpc, admitted, (&shared.room, line), request).await
                }
                Err(refusal) => refusal.response(),
            }
        }
        ("/sys/events", &Method::GET) => {
            let headers = guard::of_stream(request.headers(), request.uri().query());
            match reaching(shared, &headers, wire::Scope::Read) {
                Ok(token) => {
                    cut_without(&shared.tokens, token, line.orders);
                    shared.stream.open(&headers)
                }
                Err(refusal) => refusal,
            }
        }
        ("/sys/subscribe_events", &Method::POST) => {
            match reaching(shared, request.headers(), wire::Scope::Admin) {
                Ok(_) => match read(&shared.room, request.into_body()).await {
                    Ok((body, _taken)) => subscribe::subscribe(&shared.webhooks, &body).await,
                    Err(refusal) => refusal,
                },
                Err(refusal) => refusal,
            }
        }
        ("/sys/events", _) => json(StatusCode::METHOD_NOT_ALLOWED, &json!({ "error": "GET is required" })),
        ("/sys/subscribe_events", _) => {
            json(StatusCode::METHOD_NOT_ALLOWED, &json!({ "error": "POST is required" }))
        }
        _ => json(StatusCode::NOT_FOUND, &json!({ "error": "there is nothing at this path" })),
    }
}

/// Whether calls are to be sent here: for load balancers, and for whoever waits for a node to start.
async fn show_readiness(control: &ControlHandle) -> Response<HttpBody> {
    match control.metrics().await {
        Some(metrics) if !metrics.is_draining => json(StatusCode::OK, &json!({ "status": "ready" })),
        Some(_) => json(StatusCode::SERVICE_UNAVAILABLE, &json!({ "status": "draining" })),
        None => json(StatusCode::SERVICE_UNAVAILABLE, &json!({ "status": "busy" })),
    }
}

/// Has a connection that lives on cut when the token that it has shown is good no more, or reaches less far. Who needed none
/// when it came goes on.
fn cut_without(tokens: &Tokens, shown: Option<Token>, orders: mpsc::Sender<Order>) {
    let Some(token) = shown else { return };
    let mut tokens = tokens.clone();
    tokio::spawn(async move {
        tokio::select! {
            Ok(_) = tokens.wait_for(|tokens| !tokens.contains(&token)) => {}
            () = orders.closed() => return,
        }
        tracing::info!("a connection is cut whose token was taken away");
        let _ = orders.try_send(Order::Cut);
    });
}

/// Whether a request may pass, and its token reaches so far: the token, where one is wanted.
#[allow(clippy::result_large_err, reason = "the refusal is a response, as everything here is")]
fn reaching(
    shared: &Shared,
    headers: &http::HeaderMap,
    scope: wire::Scope,
) -> Result<Option<Token>, Response<HttpBody>> {
    let admitted = guard::admit(headers, &shared.tokens.borrow()).map_err(guard::Refusal::response)?;
    if admitted.reach.0 < scope {
        return Err(json(
            StatusCode::FORBIDDEN,
            &json!({ "error": "the token does not reach so far", "scope": scope }),
        ));
    }
    Ok(admitted.token)
}

/// How things are, for Prometheus.
async fn show_metrics(shared: &Shared) -> Response<HttpBody> {
    let (Some(metrics), Ok(hooks)) = (shared.control.metrics().await, shared.webhooks.list().await) else {
        return json(StatusCode::SERVICE_UNAVAILABLE, &json!({ "error": "try again" }));
    };
    let mut text = metrics::text(&metrics) + &metrics::webhooks(&hooks) + &shared.requests.text();
    if let Some(copy) = &shared.copy {
        text += &metrics::copy(&copy.status());
    }
    let mut response = Response::new(HttpBody::from(text));
    let content_type = header::HeaderValue::from_static(metrics::CONTENT_TYPE);
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    response
}

/// Hands a request to JSON-RPC: a WebSocket as it is, a POST once all of it is here.
async fn call<S>(
    mut rpc: S,
    admitted: Admitted,
    (room, line): (&Room, Line),
    request: Request<Incoming>,
) -> Response<HttpBody>
where
    S: Service<Request<HttpBody>, Response = Response<HttpBody>, Error = BoxError>,
{
    let upgrade = ws::is_upgrade_request(&request);
    let (mut parts, body) = request.into_parts();
    let of_console = upgrade && guard::speaks_console(&parts.headers);
    // Nothing behind this needs the token, and what is not there cannot be logged.
    parts.headers.remove(header::AUTHORIZATION);
    parts.headers.remove(header::SEC_WEBSOCKET_PROTOCOL);
    parts.extensions.insert(admitted.keys);
    parts.extensions.insert(admitted.reach);
    parts.extensions.insert(if upgrade { Transport::WebSocket } else { Transport::Post });
    parts.extensions.insert(line.link);
    let held = room.held();
    parts.extensions.insert(held.clone());
    // What it has taken it has until it is answered.
    let (body, _taken) = if upgrade {
        (HttpBody::empty(), room.body())
    } else {
        match read(room, body).await {
            Ok((body, _)) if is_too_many(&body) => {
                return refused(StatusCode::OK, ErrorData::InvalidRequest { expected: words::too_many() });
            }
            Ok((body, taken)) => (HttpBody::new(Full::new(body)), taken),
            Err(refusal) => return refusal,
        }
    };
    match rpc.call(Request::from_parts(parts, body)).await {
        Ok(mut response) => {
            if response.extensions().get::<Forbidden>().is_some() {
                *response.status_mut() = StatusCode::FORBIDDEN;
            }
            if response.status() == StatusCode::SWITCHING_PROTOCOLS {
                let _ = line.orders.try_send(Order::Upgraded(Messages::new(room, held)));
                if of_console {
                    let agreed = header::HeaderValue::from_static(guard::CONSOLE);
                    response.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, agreed);
                }
            }
            response
        }
        Err(error) => {
            tracing::error!(%error, "the JSON-RPC service failed");
            json(StatusCode::INTERNAL_SERVER_ERROR, &json!({ "error": "internal" }))
        }
    }
}

/// All of a body, and the room that it takes.
async fn read(room: &Room, body: Incoming) -> Result<(Bytes, room::Body), Response<HttpBody>> {
    match tokio::time::timeout(BODY_TIME, collect(room, body)).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(refusal)) => Err(refusal),
        Err(_) => {
            Err(json(StatusCode::REQUEST_TIMEOUT, &json!({ "error": "the body did not come in time" })))
        }
    }
}

async fn collect(room: &Room, mut body: Incoming) -> Result<(Bytes, room::Body), Response<HttpBody>> {
    let mut taken = room.body();
    let (mut all, mut length, mut has_room) = (BytesMut::new(), 0, true);
    while let Some(frame) = body.frame().await {
        let frame =
            frame.map_err(|_| json(StatusCode::BAD_REQUEST, &json!({ "error": "the body is broken" })))?;
        let Ok(data) = frame.into_data() else { continue };
        length += data.len();
        if length > BODY_MAX as usize {
            let expected = format!("a body of at most {BODY_MAX} bytes");
            return Err(refused(StatusCode::PAYLOAD_TOO_LARGE, ErrorData::InvalidRequest { expected }));
        }
        has_room = has_room && taken.grow(data.len()).is_ok();
        if has_room {
            all.extend_from_slice(&data);
        } else {
            // What is still to come is thrown away: whoever is cut off while it writes may not read why.
            (all, taken) = (BytesMut::new(), room.body());
        }
    }
    if !has_room {
        let error = ErrorData::LimitReached { limit: "bodies".to_owned(), value: ROOM as u64 };
        let mut refusal = refused(StatusCode::SERVICE_UNAVAILABLE, error);
        refusal.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static("1"));
        return Err(refusal);
    }
    Ok((all.freeze(), taken))
}

/// Whether a body is a batch of more requests than there may be. What is no batch at all the library finds out.
fn is_too_many(body: &[u8]) -> bool {
    // Nothing of them is kept, so they take no room.
    let batch =
        body.trim_ascii_start().starts_with(b"[").then(|| serde_json::from_slice::<Vec<IgnoredAny>>(body));
    matches!(batch, Some(Ok(requests)) if requests.len() > BATCH_MAX as usize)
}

/// The answer to a request whose `id` is not known.
fn refused(status: StatusCode, error: ErrorData) -> Response<HttpBody> {
    json(status, &json!({ "jsonrpc": "2.0", "id": null, "error": rpc::error_object(error) }))
}

fn json(status: StatusCode, body: &serde_json::Value) -> Response<HttpBody> {
    let mut response = Response::new(HttpBody::from(body.to_string()));
    *response.status_mut() = status;
    let json = header::HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

#[allow(
    clippy::disallowed_methods,
    reason = "a rest after a failure of the operating system, part of no call"
)]
async fn pause_accepting() {
    tokio::time::sleep(ACCEPT_REST).await;
}
