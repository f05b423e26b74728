//! JSON-RPC for applications (`call-api.md` §1): WebSocket and POST, parameters by name and by position.
//!
//! ```text
//!   request ─▶ params ─▶ method (checks) ─▶ control loop ─▶ reply ─▶ result or error object
//!   subscribe ─▶ a cursor in the event log ─▶ notifications
//! ```
//! The contract's types are [`offhook_client::wire`]; here they become commands of the calls, and replies of the calls
//! become results, by hand. Nothing here decides about a call: that is `offhook_call::admit`'s.

mod cdr;
mod check;
mod conference;
mod connection;
mod content;
mod desert;
mod error;
mod explain;
mod method;
mod middleware;
pub(crate) mod names;
mod params;
pub(crate) mod reply;
mod request;
pub mod schema;
mod scope;
mod subscribe;
mod uri;
mod webhook;

use std::path::Path;
use std::sync::{Arc, LazyLock};

use jsonrpsee::types::{ErrorObjectOwned, Params};
use jsonrpsee::{Extensions, RpcModule};
use offhook_client::wire::{Discover, Method};
use serde_json::Value;
use tokio::sync::watch;

use crate::control_handle::ControlHandle;
use crate::events::{EventLog, Groups};
use crate::request_keys::RequestKeys;
use crate::webhooks::WebhooksHandle;
use method::{Node, Served, Visitor};

pub(crate) use desert::drop_deserted;
pub(crate) use error::{object as error_object, reason as error_reason};
pub(crate) use method::Node as NodeName;
pub(crate) use middleware::{Forbidden, Known, Reach, Transport};
pub(crate) use scope::Scopes;
pub(crate) use subscribe::Link;

/// Made once: whoever asks for it again and again costs no more than a copy.
static DOCUMENT: LazyLock<Value> = LazyLock::new(schema::openrpc);

/// What the methods work with.
pub(crate) struct Context {
    pub(crate) node: Node,
    pub(crate) control: ControlHandle,
    pub(crate) log: Arc<EventLog>,
    /// Where the records of calls are.
    pub(crate) data_dir: Arc<Path>,
    pub(crate) keys: Arc<RequestKeys>,
    /// Subscribers that share the work.
    pub(crate) groups: Arc<Groups>,
    /// What is told by POST.
    pub(crate) webhooks: WebhooksHandle,
    /// How many subscriptions there are.
    pub(crate) subscriptions: watch::Sender<usize>,
    /// How many of them can act on a call: who may only read is no application that an inbound call would wait for.
    pub(crate) applications: watch::Sender<usize>,
    /// Whether the server is closing: subscriptions send what is left and end.
    pub(crate) closing: watch::Receiver<bool>,
}

/// All methods, ready to be served.
pub(crate) fn module(context: Context) -> RpcModule<Context> {
    let mut registry = Registry { module: RpcModule::new(context) };
    method::visit(&mut registry);
    let mut module = registry.module;
    subscribe::register(&mut module);
    webhook::register(&mut module);
    cdr::register(&mut module);
    explain::register(&mut module);
    let discover = |params: Params<'_>, _: &Context, _: &Extensions| {
        params::parse::<Discover>(params.as_str()).map_err(|invalid| error::object(invalid.into()))?;
        Ok::<_, ErrorObjectOwned>(DOCUMENT.clone())
    };
    module.register_method(Discover::NAME, discover).expect("the name is used once");
    module
}

/// What each method of `module` needs.
pub(crate) fn scopes(module: &RpcModule<Context>) -> Scopes {
    Scopes::of(module.method_names())
}

struct Registry {
    module: RpcModule<Context>,
}

impl Visitor for Registry {
    fn method<M: Served>(&mut self) {
        let callback = |params: Params<'static>, context: Arc<Context>, extensions: Extensions| async move {
            let scope = extensions.get().copied().unwrap_or_default();
            request::serve::<M>(context, (scope, subscribe::connection(&extensions)), params.as_str()).await
        };
        self.module.register_async_method(M::NAME, callback).expect("every name is used once");
    }
}
