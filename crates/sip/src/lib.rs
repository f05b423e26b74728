//! The SIP user agent, sans-IO.
pub mod event;
