//! `POST /sys/subscribe_events`: the hook of SpRecord, which must prove that it wants to be one (`notifications.md`).

use http::{Response, StatusCode};
use jsonrpsee::server::HttpBody;
use serde::Deserialize;
use serde_json::json;

use crate::webhooks::{Settings, Unverified, WebhooksHandle};

/// What a request has.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    #[serde(default)]
    hook: String,
    subscribe: Vec<String>,
}

/// Changes the settings, and tells what they are then.
pub(super) async fn subscribe(webhooks: &WebhooksHandle, body: &[u8]) -> Response<HttpBody> {
    let refused = |status, error: String| super::json(status, &json!({ "error": error }));
    let Wanted { hook, subscribe } = match serde_json::from_slice(body) {
        Ok(wanted) => wanted,
        Err(error) => {
            let error = format!("expected {{\"hook\": URL, \"subscribe\": [EVENT, …]}}: {error}");
            return refused(StatusCode::BAD_REQUEST, error);
        }
    };
    match webhooks.subscribe(Settings { hook, subscribe }).await {
        Ok(Settings { hook, subscribe }) => {
            super::json(StatusCode::OK, &json!({ "hook": hook, "subscribe": subscribe }))
        }
        Err(Unverified::Wrong(error)) => refused(StatusCode::BAD_REQUEST, error),
        Err(Unverified::Refused(refusal)) => {
            refused(StatusCode::SERVICE_UNAVAILABLE, format!("not changed: {refusal:?}").to_lowercase())
        }
    }
}
