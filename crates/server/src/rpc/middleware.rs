//! What every request passes before its method, alone or in a batch, by WebSocket or by POST: whether its token reaches so far; answers
//! that the JSON-RPC library would give without the `data` that the API promises; and parameters by name where it
//! knows them by position only.

use std::borrow::Cow;
use std::future::Future;
use std::sync::Arc;

use jsonrpsee::Extensions;
use jsonrpsee::server::middleware::rpc::{Batch, BatchEntry, Notification, RpcServiceT};
use jsonrpsee::server::{BatchResponseBuilder, MethodResponse};
use jsonrpsee::types::Request;
use offhook_client::wire::{self, ErrorData, Method, Scope};
use serde::Deserialize;
use serde_json::value::{RawValue, to_raw_value};

use super::{Scopes, error};
use crate::clock;
use crate::metrics::Requests;
use crate::room::{Claimed, Held};

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
    requests: Arc<Requests>,
}

impl<S> Known<S> {
    pub(crate) fn new(inner: S, scopes: Arc<Scopes>, requests: Arc<Requests>) -> Self {
        Self { inner, scopes, requests }
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

/// The room of the message that has just been read.
fn claim(extensions: &Extensions) -> Option<Claimed> {
    extensions.get::<Arc<Held>>().map(Held::claim)
}

/// Beside a response by POST: its status is 403.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Forbidden;

/// How much of an unknown method's name is given back, in characters.
const NAME_MAX: usize = 100;

/// The longest answer to a batch, in bytes: what the library has for every answer.
const BATCH_RESPONSE_MAX: usize = 10 << 20;

impl<S> Known<S>
where
    S: RpcServiceT<MethodResponse = MethodResponse> + Clone + Send + Sync + 'static,
{
    /// Serves one request, or refuses it, and counts it.
    fn serve<'a>(
        &self,
        request: Request<'a>,
        in_batch: bool,
    ) -> impl Future<Output = MethodResponse> + Send + use<'a, S> {
        let begun = clock::now().mono;
        let method = self.scopes.name(request.method_name());
        let refusal = self.refusal(&request, in_batch);
        let claimed = claim(request.extensions());
        let request = by_position(request);
        let (inner, requests) = (self.inner.clone(), self.requests.clone());
        async move {
            let response = match refusal {
                Some(data) => {
                    let forbidden = !in_batch && matches!(data, ErrorData::NotPermitted { .. });
                    let mut response = MethodResponse::error(request.id, error::object(data));
                    if forbidden {
                        response.extensions_mut().insert(Forbidden);
                    }
                    response
                }
                None => inner.call(request).await,
            };
            requests.count(method, response.as_error_code(), clock::now().mono - begun);
            drop(claimed);
            response
        }
    }
}

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
        self.serve(request, false)
    }

    /// As the library does it, but each request by [`Known::serve`].
    fn batch<'a>(&self, mut batch: Batch<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
        let service = self.clone();
        let claimed = claim(batch.extensions());
        async move {
            let _claimed = claimed;
            let mut answers = BatchResponseBuilder::new_with_limit(BATCH_RESPONSE_MAX);
            let mut is_told = false;
            for entry in batch {
                let answer = match entry {
                    Ok(BatchEntry::Call(request)) => service.serve(request, true).await,
                    Ok(BatchEntry::Notification(notification)) => {
                        is_told = true;
                        service.inner.notification(notification).await;
                        continue;
                    }
                    Err(wrong) => {
                        let (error, id) = wrong.into_parts();
                        MethodResponse::error(id, error)
                    }
                };
                if let Err(too_long) = answers.append(answer) {
                    return too_long;
                }
            }
            if answers.is_empty() && is_told {
                return MethodResponse::notification();
            }
            MethodResponse::from_batch(answers.finish())
        }
    }

    fn notification<'a>(
        &self,
        notification: Notification<'a>,
    ) -> impl Future<Output = Self::NotificationResponse> + Send + 'a {
        drop(claim(notification.extensions()));
        self.inner.notification(notification)
    }
}
