//! What an endpoint has seen: for metrics, and for tests that ask why a message had no effect.

/// Totals since the start, and the number of live things. All but the last four only ever grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Messages given to [`Endpoint::receive`](crate::Endpoint::receive).
    pub received: u64,
    /// Bytes that are no SIP message; dropped.
    pub malformed: u64,
    /// Requests with a fault in their mandatory fields; answered 400 and the like.
    pub faulty: u64,
    /// Requests of strangers; dropped, or refused with 403.
    pub untrusted: u64,
    /// Messages of a source that sends more than it may; dropped before they were parsed, or refused with 503.
    pub over_source: u64,
    /// Messages of strangers beyond what all of them may send; dropped before they were parsed.
    pub over_strangers: u64,
    /// Requests without credentials where some are asked for; answered 401.
    pub challenged: u64,
    /// Requests with credentials that are wrong; answered 401.
    pub wrong_credentials: u64,
    /// Requests with credentials that were right once: too old, or used before; answered 401 with `stale`.
    pub stale_credentials: u64,
    /// Requests inside a dialog that did not come from where it was made; refused as if there were no such dialog.
    pub displaced: u64,
    /// Responses that match no transaction, or are faulty; dropped.
    pub stray_responses: u64,
    /// ACKs that match no unacknowledged answer; dropped.
    pub stray_acks: u64,
    /// Requests refused with 503 or dropped because a table is full.
    pub overload: u64,
    /// Messages sent a second or later time, requests and responses.
    pub retransmissions: u64,
    /// Live sessions.
    pub sessions: usize,
    /// Live transactions.
    pub transactions: usize,
    /// Accounts that we are to be registered with.
    pub accounts: usize,
    /// Those of them where we are.
    pub registered: usize,
}
