//! `sys.call.cdr`: the records of calls, read from the database beside the thread that writes it.

use std::sync::Arc;

use jsonrpsee::types::Params;
use jsonrpsee::{Extensions, RpcModule};
use offhook_client::wire::limits::{PAGE_MAX, SEQ_MAX};
use offhook_client::wire::{CallRecord, Cdr, ErrorData, Method};
use tokio::sync::Semaphore;

use super::{Context, check, error, params};
use crate::store;

/// How many pages are read at a time, each by a thread of its own; who comes then waits.
static READERS: Semaphore = Semaphore::const_new(4);

pub(super) fn register(module: &mut RpcModule<Context>) {
    let callback = |params: Params<'static>, context: Arc<Context>, _: Extensions| async move {
        read(&context, params.as_str()).await.map_err(error::object)
    };
    module.register_async_method(Cdr::NAME, callback).expect("the name is used once");
}

async fn read(context: &Context, params: Option<&str>) -> Result<Vec<CallRecord>, ErrorData> {
    let Cdr { after, limit } = params::parse(params)?;
    let after = check::between("after", after, 0, SEQ_MAX)?;
    let limit = check::between("limit", limit, 1, PAGE_MAX)?;
    let _place = READERS.acquire().await;
    let data_dir = context.data_dir.clone();
    let read = tokio::task::spawn_blocking(move || store::page(&data_dir, after, limit)).await;
    read.map_err(std::io::Error::other)
        .flatten()
        .map_err(|error| error::internal(&format!("call records cannot be read: {error}")))
}
