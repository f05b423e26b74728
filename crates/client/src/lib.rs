//! The JSON-RPC contract of offhook as Rust types ([`wire`]), and a client that speaks it over WebSocket.
//!
//! ```no_run
//! use offhook_client::{Client, wire::EventKind};
//!
//! # async fn example() -> Result<(), offhook_client::Error> {
//! let client = Client::connect("ws://127.0.0.1:8080/rpc", None).await?;
//! let mut events = client.subscribe(None, None).await?;
//! while let Some(event) = events.next().await {
//!     let event = event?;
//!     match event.kind {
//!         EventKind::Incoming(call) => client.answer(&call.res_id, 3600).await?,
//!         EventKind::AnswerCompleted(call) if call.error.is_none() => {
//!             client.play_start(&call.res_id, "welcome.wav", "#").await?;
//!         }
//!         EventKind::PlayCompleted(call) if call.error.is_none() => client.drop_call(&call.res_id, 603).await?,
//!         _ => {}
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Every method of the API is a type in [`wire`], to be given to [`Client::call`]; the methods of [`Client`] are short
//! forms of the usual ones. An action's request returns as soon as the action has begun; its end is an event.

mod client;
mod error;
mod events;
pub mod wire;

pub use client::{Client, Once};
pub use error::Error;
pub use events::{Event, Events};
