//! The contract of the API, once: every method's parameters and result, every event, every error.
//!
//! The server reads and writes these types, the [`Client`](crate::Client) too, and `proto/openrpc.json` and
//! `proto/asyncapi.json` are generated from them (feature `schema`). Names, order and defaults of parameters are those
//! of the document of `sys.call` (`call-api.md`): the order of a struct's fields is the order of parameters by position.
//!
//! Parameters refuse what they do not know, so that a misspelt one is an error and not a default; results and events
//! are read leniently, so that a newer server may say more.

/// A type is the parameters of the method of a name.
macro_rules! method {
    ($type:ident = $name:literal -> $result:ty) => {
        impl Method for $type {
            const NAME: &'static str = $name;
            type Result = $result;
        }
    };
}

/// Methods whose only parameter is a resource: the first line says which.
macro_rules! methods_of {
    ($what:literal $($(#[doc = $doc:literal])* $type:ident = $name:literal -> $result:ty;)*) => {$(
        $(#[doc = $doc])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        #[serde(deny_unknown_fields)]
        pub struct $type {
            #[doc = $what]
            #[cfg_attr(feature = "schema", schemars(length(max = crate::wire::limits::RES_ID_MAX), extend("format" = "res-id")))]
            pub res_id: String,
        }
        method!($type = $name -> $result);
    )*};
}

mod beside;
mod callees;
mod conference;
mod content;
mod detect;
mod error;
mod event;
mod explain;
mod headers;
pub mod limits;
mod params;
mod record;
mod result;
#[cfg(feature = "schema")]
mod schema;
mod scope;
mod subscribe;
mod webhook;

pub use beside::*;
pub use callees::Callees;
pub use conference::*;
pub use content::{Content, Item, What};
pub use detect::{DetectCause, DetectKind, DetectResult, DetectStart};
pub use error::ErrorData;
pub use event::*;
pub use explain::*;
pub use params::*;
pub use record::*;
pub use result::*;
#[cfg(feature = "schema")]
pub use schema::FORMATS;
pub use scope::Scope;
pub use subscribe::*;
pub use webhook::*;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// A method of the API: the type is its parameters.
pub trait Method: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The method's name, such as `sys.call.answer`.
    const NAME: &'static str;
    /// What it returns.
    type Result: Serialize + DeserializeOwned + Clone + Send + Sync + 'static;
}

/// The parameter, by name only, that every method which changes something takes beside its own: the request is carried out
/// once, however often it is sent with the same key and the same parameters within a day.
///
/// The result of a request that has one is an object: what the method's result has, and [`REPLAYED`]. So is the `data` of an
/// error that is told again.
pub const REQUEST_KEY: &str = "request_key";
/// Whether the result is one that was told, or is on its way, to an earlier request of the same [`REQUEST_KEY`].
pub const REPLAYED: &str = "replayed";
