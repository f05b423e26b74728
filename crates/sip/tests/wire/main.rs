//! Endpoints on a simulated wire in virtual time: nothing sleeps, and a seed reproduces every failure.

#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests")]

mod challenge;
mod change;
mod farewell;
mod forks;
mod hostile;
mod inbound;
mod indialog;
mod judge;
mod limits;
mod lossy;
mod mutations;
mod outbound;
mod page_in;
mod ping;
mod policy;
mod redirect;
mod refer;
mod refresh;
mod register;
mod reliable;
mod requests;
mod retransmission;
mod routes;
mod script;
mod stage;
mod torture;
mod world;
