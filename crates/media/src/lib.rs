//! The RTP media engine, sans-IO: packets, ticks and commands in, packets, audio and events out.

pub mod codec;
pub mod dtmf;
pub mod event;
pub mod file;
pub mod sdp;
