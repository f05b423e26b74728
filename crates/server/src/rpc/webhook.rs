//! The methods of web hooks, which ask the thread that has them ([`crate::webhooks`]) and not the calls.

use std::sync::Arc;

use jsonrpsee::types::{ErrorObjectOwned, Params};
use jsonrpsee::{Extensions, RpcModule};
use offhook_client::wire::limits::{SEQ_MAX, WEBHOOK_ID};
use offhook_client::wire::{
    ErrorData, Method, WebhookAdd, WebhookAdded, WebhookInfo, WebhookList, WebhookRedeliver, WebhookRemove,
    WebhookTest, WebhookTested,
};
use schemars::JsonSchema;

use super::{Context, check, error, params};
use crate::webhooks::{Definition, Refusal};

pub(super) fn register(module: &mut RpcModule<Context>) {
    method(module, add);
    method(module, remove);
    method(module, list);
    method(module, test);
    method(module, redeliver);
}

fn method<M, F>(module: &mut RpcModule<Context>, serve: fn(M, Arc<Context>) -> F)
where
    M: Method + JsonSchema,
    F: Future<Output = Result<M::Result, ErrorData>> + Send + 'static,
{
    let callback = move |params: Params<'static>, context: Arc<Context>, _: Extensions| async move {
        let parsed = params::parse::<M>(params.as_str()).map_err(ErrorData::from);
        let result = match parsed {
            Ok(params) => serve(params, context).await,
            Err(data) => Err(data),
        };
        result.map_err(error::object)
    };
    module
        .register_async_method::<Result<M::Result, ErrorObjectOwned>, _, _>(M::NAME, callback)
        .expect("every name is used once");
}

async fn add(params: WebhookAdd, context: Arc<Context>) -> Result<WebhookAdded, ErrorData> {
    let WebhookAdd { url, types, secret, format, project_sid, app_secret } = params;
    let secrets = secret.unwrap_or_default();
    let secrets = secrets.split_ascii_whitespace().map(str::to_owned).collect();
    let definition = Definition { url, format, types, secrets, project_sid, app_secret };
    definition.check().map_err(|fault| check::invalid(fault.key, fault.expected))?;
    let added = context.webhooks.add(definition).await;
    added.map(|id| WebhookAdded { id }).map_err(|refusal| data(refusal, "url"))
}

async fn remove(WebhookRemove { id }: WebhookRemove, context: Arc<Context>) -> Result<bool, ErrorData> {
    context.webhooks.remove(known(id)?).await.map_err(|refusal| data(refusal, "id"))
}

async fn list(_: WebhookList, context: Arc<Context>) -> Result<Vec<WebhookInfo>, ErrorData> {
    context.webhooks.list().await.map_err(|refusal| data(refusal, "id"))
}

async fn test(WebhookTest { id }: WebhookTest, context: Arc<Context>) -> Result<WebhookTested, ErrorData> {
    context.webhooks.test(known(id)?).await.map_err(|refusal| data(refusal, "id"))
}

async fn redeliver(params: WebhookRedeliver, context: Arc<Context>) -> Result<u64, ErrorData> {
    let after = check::between("after", params.after, 0, SEQ_MAX)?;
    let id = params.id.map(known).transpose()?;
    context.webhooks.redeliver(id, after).await.map_err(|refusal| data(refusal, "id"))
}

/// What can be the id of a hook.
fn known(id: String) -> Result<String, ErrorData> {
    let is_id = id.len() == WEBHOOK_ID && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if is_id { Ok(id) } else { Err(data(Refusal::Unknown, "id")) }
}

fn data(refusal: Refusal, param: &str) -> ErrorData {
    match refusal {
        Refusal::Unknown => check::invalid(param, "the id of a web hook, as sys.event.webhook_list has it"),
        Refusal::Exists => check::invalid(param, "one that has no other web hook of this format"),
        Refusal::Denied => check::invalid(
            param,
            "an address that others can reach too, or one within webhooks.allow_networks of the configuration",
        ),
        Refusal::Configured => {
            check::invalid(param, "a web hook that was added: this one is in the configuration")
        }
        Refusal::TooMany(value) => {
            ErrorData::LimitReached { limit: "webhooks".to_owned(), value: value as u64 }
        }
        Refusal::Disk => {
            ErrorData::FileUnreadable { param: param.to_owned(), file: "webhooks".to_owned(), item: None }
        }
        Refusal::Busy => ErrorData::ShuttingDown,
    }
}
