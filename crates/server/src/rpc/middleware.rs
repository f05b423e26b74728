//! What every request passes before its method, alone or in a batch, by WebSocket or by POST: whether its token reaches so far; answers
//! that the JSON-RPC library would give without the `data` that the API promises; and parameters by name where it
//! knows them by position only.

use std::borrow::Cow;
use std::future::Future;
use std::sync::Arc;

use jsonrpsee::server::MethodResponse;
use jsonrpsee::server::middleware::rpc::{Batch, BatchEntry, BatchEntryErr, Notification, RpcServiceT};
use jsonrpsee::types::Request;
use offhook_client::wire::{self, ErrorData, Method, Scope};
use serde::Deserialize;
use serde_json::value::{RawValue, to_raw_value};

use super::{Scopes, error};

/// How a request came; the HTTP side puts it with the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    /// A POST: one request, one response.
    Post,
    /// A WebSocket, which can carry notifications.
    WebSocket,
}

/// How far the token of a request reaches; the HTTP side puts it with the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reach(pub(crate) Scope);

/// Lets through requests for methods that there are, that their token reaches, over a transport that can carry them.
#[derive(Clone)]
pub(crate) struct Known<S> {
    inner: S,
    scopes: Arc<Scopes>,
}

impl<S> Known<S> {
    pub(crate) fn new(inner: S, scopes: Arc<Scopes>) -> Self {
        Self { inner, scopes }
    }

    fn refusal(&self, request: &Request<'_>, in_batch: bool) -> Option<ErrorData> {
        let method = request.method_name();
        let Some(scope) = self.scopes.of_request(request) else {
            return Some(ErrorData::MethodNotFound { method: method.chars().take(NAME_MAX).collect() });
        };
        if request.extensions().get().is_none_or(|&Reach(reach)| reach < scope) {
            return Some(ErrorData::NotPermitted { scope });
        }
        let subscribes = method == wire::Subscribe::NAME || method == wire::UNSUBSCRIBE;
        let alone = request.extensions().get() == Some(&Transport::WebSocket) && !in_batch;
        (subscribes && !alone).then(|| ErrorData::InvalidRequest {
            expected: "a WebSocket, and no batch, for subscriptions".to_owned(),
        })
    }
}

/// The library finds the name of a subscription that is to end by its position only.
fn by_position(mut request: Request<'_>) -> Request<'_> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Unsubscribe<'a> {
        #[serde(borrow)]
        subscription: &'a RawValue,
    }
    if request.method_name() == wire::UNSUBSCRIBE
        && let Some(params) = &request.params
        && let Ok(Unsubscribe { subscription }) = serde_json::from_str(params.get())
        && let Ok(list) = to_raw_value(&[subscription])
    {
        request.params = Some(Cow::Owned(list));
    }
    request
}

/// Beside a response by POST: its status is 403.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Forbidden;

/// How much of an unknown method's name is given back, in characters.
const NAME_MAX: usize = 100;

impl<S> RpcServiceT for Known<S>
where
    S: RpcServiceT<MethodResponse = MethodResponse, BatchResponse = MethodResponse>
        + Clone
        + Send
        + Sync
        + 'static,
{
    type MethodResponse = MethodResponse;
    type NotificationResponse = S::NotificationResponse;
    type BatchResponse = MethodResponse;

    fn call<'a>(&self, request: Request<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
        let refusal = self.refusal(&request, false);
        let request = by_position(request);
        let inner = self.inner.clone();
        async move {
            match refusal {
                Some(data) => {
                    let forbidden = matches!(data, ErrorData::NotPermitted { .. });
                    let mut response = MethodResponse::error(request.id, error::object(data));
                    if forbidden {
                        response.extensions_mut().insert(Forbidden);
                    }
                    response
                }
                None => inner.call(request).await,
            }
        }
    }

    fn batch<'a>(&self, batch: Batch<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
        let known = |entry: Result<BatchEntry<'a>, BatchEntryErr<'a>>| match entry {
            Ok(BatchEntry::Call(request)) => match self.refusal(&request, true) {
                Some(data) => Err(BatchEntryErr::new(request.id, error::object(data))),
                None => Ok(BatchEntry::Call(request)),
            },
            other => other,
        };
        self.inner.batch(Batch::from(batch.into_iter().map(known).collect()))
    }

    fn notification<'a>(
        &self,
        notification: Notification<'a>,
    ) -> impl Future<Output = Self::NotificationResponse> + Send + 'a {
        self.inner.notification(notification)
    }
}
