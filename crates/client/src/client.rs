//! The client: one WebSocket, any number of requests and subscriptions on it.

use std::time::Duration;

use jsonrpsee_core::client::{ClientT, SubscriptionClientT};
use jsonrpsee_core::traits::ToRpcParams;
use jsonrpsee_ws_client::{HeaderMap, HeaderValue, WsClient, WsClientBuilder};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value};

use crate::error::Error;
use crate::events::Events;
use crate::wire::{self, CallInfo, Constructed, Content, Method, Recording};

/// How long a reply may take. `answer` replies when the ACK has come, for which SIP waits 32 s.
const REPLY_TIMEOUT: Duration = Duration::from_secs(60);

/// How many events wait for [`Events::next`] before the subscription is given up: a burst of some thousand calls. The
/// room is taken as it is needed.
const EVENTS_WAITING: usize = 65_536;

/// A connection to a server. Requests may be made at the same time from several tasks.
#[derive(Debug)]
pub struct Client {
    inner: WsClient,
}

impl Client {
    /// Connects to `url`, such as `ws://127.0.0.1:8080/rpc`, with the server's `token` if it wants one.
    pub async fn connect(url: &str, token: Option<&str>) -> Result<Self, Error> {
        let mut headers = HeaderMap::new();
        if let Some(token) = token {
            let value = HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| {
                Error::Connection("the token has characters that no header can have".to_owned())
            })?;
            headers.insert("authorization", value);
        }
        let inner = WsClientBuilder::default()
            .set_headers(headers)
            .request_timeout(REPLY_TIMEOUT)
            .max_buffer_capacity_per_subscription(EVENTS_WAITING)
            .build(url)
            .await?;
        Ok(Self { inner })
    }

    /// Whether the connection stands.
    pub fn is_connected(&self) -> bool {
        self.inner.is_connected()
    }

    /// Any method of the API, typed.
    pub async fn call<M: Method>(&self, params: &M) -> Result<M::Result, Error> {
        Ok(self.inner.request(M::NAME, Params::of(params)?).await?)
    }

    /// Any method that changes something, with a key of the application's: sent again with the same key and parameters, by this
    /// client or another one, it is not carried out again, and tells what came of it the first time. So a request whose
    /// answer was lost ([`Error::Timeout`], [`Error::Connection`]) may be repeated.
    pub async fn call_once<M: Method>(&self, params: &M, key: &str) -> Result<Once<M::Result>, Error> {
        let protocol = |error: serde_json::Error| Error::Protocol(error.to_string());
        let mut params = serde_json::to_value(params).map_err(protocol)?;
        if let Some(params) = params.as_object_mut() {
            params.insert(wire::REQUEST_KEY.to_owned(), key.into());
        }
        let mut told: Map<String, Value> = self.inner.request(M::NAME, Params::of(&params)?).await?;
        let replayed = told.remove(wire::REPLAYED) == Some(Value::Bool(true));
        // A method that has nothing to say has null as its result.
        let result = if told.is_empty() { Value::Null } else { Value::Object(told) };
        Ok(Once { result: serde_json::from_value(result).map_err(protocol)?, replayed })
    }

    /// Any method by its name, untyped: `params` is an object, an array, or null for none.
    pub async fn request(&self, method: &str, params: Value) -> Result<Value, Error> {
        let params = if params.is_null() { Params(None) } else { Params::of(&params)? };
        Ok(self.inner.request(method, params).await?)
    }

    /// The events from now on, or after event `after`; all but the opt-in ones, or those that `types` names.
    pub async fn subscribe(&self, after: Option<u64>, types: Option<&[&str]>) -> Result<Events, Error> {
        let types = types.map(|types| types.iter().map(|&name| name.to_owned()).collect());
        self.subscribe_as(&wire::Subscribe { after, types, ..Default::default() }).await
    }

    /// A subscription with all its parameters. One that has a `group` shares its calls with others: see [`Self::ack`].
    pub async fn subscribe_as(&self, params: &wire::Subscribe) -> Result<Events, Error> {
        let params = Params::of(params)?;
        let subscription = self.inner.subscribe(wire::Subscribe::NAME, params, wire::UNSUBSCRIBE).await?;
        Ok(Events::new(subscription))
    }

    /// Everything up to this event is done with: who takes over the calls of this connection's groups begins after it.
    pub async fn ack(&self, seq: u64) -> Result<wire::Acked, Error> {
        self.call(&wire::Ack { seq }).await
    }

    /// Places a call; `on_ringing` and `on_dial_completed` follow.
    pub async fn construct(&self, params: &wire::Construct) -> Result<Constructed, Error> {
        self.call(params).await
    }

    /// Answers an inbound call; returns when it is Idle.
    pub async fn answer(&self, res_id: &str, max_answer_seconds: u32) -> Result<(), Error> {
        self.call(&wire::Answer { res_id: res_id.to_owned(), max_answer_seconds, ..Default::default() }).await
    }

    /// Ends a call, whatever it is doing.
    pub async fn drop_call(&self, res_id: &str, cause: u16) -> Result<(), Error> {
        self.call(&wire::Drop { res_id: res_id.to_owned(), cause }).await
    }

    /// Refuses an inbound call before its answer.
    pub async fn reject(&self, res_id: &str, cause: u16) -> Result<(), Error> {
        self.call(&wire::Reject { res_id: res_id.to_owned(), cause }).await
    }

    /// Lets an inbound call ring before its answer, or hear a file over and over.
    pub async fn ring(&self, res_id: &str, file: Option<&str>) -> Result<(), Error> {
        let ring_play_file = file.map(str::to_owned);
        self.call(&wire::Ring { res_id: res_id.to_owned(), ring_play_file }).await
    }

    /// Sends an inbound call elsewhere before its answer.
    pub async fn redirect(&self, res_id: &str, redirect_uri: &str) -> Result<(), Error> {
        self.call(&wire::Redirect { res_id: res_id.to_owned(), redirect_uri: redirect_uri.to_owned() }).await
    }

    /// Whether there is such a call.
    pub async fn exists(&self, res_id: &str) -> Result<bool, Error> {
        self.call(&wire::Exists { res_id: res_id.to_owned() }).await
    }

    /// Restarts the idle clock of a call.
    pub async fn nop(&self, res_id: &str) -> Result<(), Error> {
        self.call(&wire::Nop { res_id: res_id.to_owned() }).await
    }

    /// All that is known of a call.
    pub async fn get(&self, res_id: &str) -> Result<CallInfo, Error> {
        self.call(&wire::Get { res_id: res_id.to_owned() }).await
    }

    /// A page of calls.
    pub async fn list(&self, params: &wire::List) -> Result<Vec<String>, Error> {
        self.call(params).await
    }

    /// Plays a file, several joined by `|`, or a list of items; a key of `finish_keys` ends it.
    pub async fn play_start(
        &self,
        res_id: &str,
        content: impl Into<Content>,
        finish_keys: &str,
    ) -> Result<(), Error> {
        let (res_id, finish_keys) = (res_id.to_owned(), finish_keys.to_owned());
        self.call(&wire::PlayStart { res_id, content: content.into(), finish_keys, repeat: 0 }).await
    }

    /// Ends a play.
    pub async fn play_stop(&self, res_id: &str) -> Result<(), Error> {
        self.call(&wire::PlayStop { res_id: res_id.to_owned() }).await
    }

    /// Records the far end.
    pub async fn record_start(&self, params: &wire::RecordStart) -> Result<Recording, Error> {
        self.call(params).await
    }

    /// Ends a recording.
    pub async fn record_stop(&self, res_id: &str) -> Result<(), Error> {
        self.call(&wire::RecordStop { res_id: res_id.to_owned() }).await
    }

    /// `sys.call.record_pause`.
    pub async fn record_pause(&self, res_id: &str) -> Result<(), Error> {
        self.call(&wire::RecordPause { res_id: res_id.to_owned() }).await
    }

    /// `sys.call.record_resume`.
    pub async fn record_resume(&self, res_id: &str) -> Result<(), Error> {
        self.call(&wire::RecordResume { res_id: res_id.to_owned() }).await
    }

    /// Sends keys.
    pub async fn send_dtmf_start(&self, res_id: &str, keys: &str) -> Result<(), Error> {
        self.call(&wire::SendDtmfStart { res_id: res_id.to_owned(), keys: keys.to_owned() }).await
    }

    /// Ends the sending of keys.
    pub async fn send_dtmf_stop(&self, res_id: &str) -> Result<(), Error> {
        self.call(&wire::SendDtmfStop { res_id: res_id.to_owned() }).await
    }

    /// Collects keys.
    pub async fn receive_dtmf_start(&self, params: &wire::ReceiveDtmfStart) -> Result<(), Error> {
        self.call(params).await
    }

    /// Ends the collection of keys.
    pub async fn receive_dtmf_stop(&self, res_id: &str) -> Result<(), Error> {
        self.call(&wire::ReceiveDtmfStop { res_id: res_id.to_owned() }).await
    }

    /// Listens for other things than keys, beside whatever the call does.
    pub async fn detect_start(&self, params: &wire::DetectStart) -> Result<(), Error> {
        self.call(params).await
    }

    /// Ends that.
    pub async fn detect_stop(&self, res_id: &str) -> Result<(), Error> {
        self.call(&wire::DetectStop { res_id: res_id.to_owned() }).await
    }

    /// Lets two calls hear each other; `res_id` is the first party.
    pub async fn connect_start(
        &self,
        res_id: &str,
        call_res_id: &str,
        max_seconds: u32,
    ) -> Result<(), Error> {
        let (res_id, call_res_id) = (res_id.to_owned(), call_res_id.to_owned());
        self.call(&wire::ConnectStart { res_id, max_seconds, call_res_id, ..Default::default() }).await
    }

    /// Ends a connection.
    pub async fn connect_stop(&self, res_id: &str) -> Result<(), Error> {
        self.call(&wire::ConnectStop { res_id: res_id.to_owned() }).await
    }
}

/// What a request with a key came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Once<R> {
    /// The result, of whichever time.
    pub result: R,
    /// Whether it had been carried out before, or was under way.
    pub replayed: bool,
}

/// Parameters by name, as they are sent.
struct Params(Option<Box<RawValue>>);

impl Params {
    fn of(params: &impl Serialize) -> Result<Self, Error> {
        to_raw_value(params).map(|raw| Self(Some(raw))).map_err(|error| Error::Protocol(error.to_string()))
    }
}

impl ToRpcParams for Params {
    fn to_rpc_params(self) -> Result<Option<Box<RawValue>>, serde_json::Error> {
        Ok(self.0)
    }
}
