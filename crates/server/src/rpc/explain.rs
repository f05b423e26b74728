//! `sys.call.explain`: what a call has been through, as the control loop has kept it; it is put into words here, beside that loop.

use std::sync::Arc;

use jsonrpsee::types::Params;
use jsonrpsee::{Extensions, RpcModule};
use offhook_client::wire::{ErrorData, Explain, Explained, Method};

use super::{Context, check, error, params};
use crate::explain;

pub(super) fn register(module: &mut RpcModule<Context>) {
    let callback = |params: Params<'static>, context: Arc<Context>, _: Extensions| async move {
        explain(&context, params.as_str()).await.map_err(error::object)
    };
    module.register_async_method(Explain::NAME, callback).expect("the name is used once");
}

async fn explain(context: &Context, params: Option<&str>) -> Result<Explained, ErrorData> {
    let Explain { res_id } = params::parse(params)?;
    let node = context.node.id;
    let call = check::call(node, "res_id", &res_id)?;
    let known = context.control.explain(call).await.map_err(|refusal| error::data(node, refusal))?;
    let known = known.ok_or(ErrorData::ResourceNotFound { res_id })?;
    Ok(explain::wire(node, &known))
}
