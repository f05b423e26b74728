//! Scenarios through the real server with real peers over real sockets. Each test starts a server of its own, so they
//! run side by side; `cargo xtask test` builds the server first.
#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "scenarios are an outside world: they own sockets, processes and the clock"
)]

mod changes;
mod clocks;
mod codecs;
mod command_line;
mod conferences;
mod connections;
mod console;
mod cuts;
mod departures;
mod detections;
mod dialling;
mod digits;
mod events;
mod explain;
mod gateways;
mod hostile;
mod inbound;
mod injection;
mod interop;
mod keys;
mod lifecycle;
mod limits;
mod load;
mod media;
mod nat;
mod operations;
mod outbound;
mod postgres;
mod protection;
mod recordings;
mod records;
mod rpc;
mod stalls;
mod telephone;
mod transfers;
mod transports;
mod webhooks;
mod words;
