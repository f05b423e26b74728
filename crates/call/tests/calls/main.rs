//! The calls in virtual time, against SIP, media and disk played by hand.

mod actions;
mod admission;
mod changes;
mod conference_dialling;
mod conference_sounds;
mod conferences;
mod connections;
mod detections;
mod dialling;
mod digits;
mod endings;
mod entering;
mod exploration;
mod gateways;
mod inbound;
mod messages;
mod outbound;
mod protection;
mod recordings;
mod reloading;
mod rig;
mod ringing;
mod silence;
mod transfers;
mod world;
