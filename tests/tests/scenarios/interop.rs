//! Peers of other makes, and what only they do: SIPp with what the plain scenarios leave out, linphone and baresip as
//! telephones, Kamailio as outbound proxy and registrar, sipsak as the operator's tool.

mod baresip;
mod events;
mod kamailio;
mod linphone;
mod sipp;
mod sipsak;
