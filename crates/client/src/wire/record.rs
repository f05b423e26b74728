//! The records of calls that are over (`call-api.md` §6).

use serde::{Deserialize, Serialize};

#[cfg(feature = "schema")]
use super::limits::{PAGE_MAX, SEQ_MAX};
use super::params::hundred;
use super::{CallDir, DroppedBy, Method};

/// The records of calls that are over, oldest first: what follows a record, a page at a time. A record is there before
/// `on_released` of its call is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Cdr {
    /// Only those after this one: the `id` of the last of the page before. 0: from the oldest that is kept.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(range(min = 0, max = SEQ_MAX)))]
    pub after: u64,
    /// At most so many.
    #[serde(default = "hundred")]
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = PAGE_MAX)))]
    pub limit: u32,
}
method!(Cdr = "sys.call.cdr" -> Vec<CallRecord>);

impl Default for Cdr {
    fn default() -> Self {
        Self { after: 0, limit: hundred() }
    }
}

/// One of the results of `sys.call.cdr`: a call that is over. Times are Unix time in milliseconds; durations are of a clock that
/// nobody sets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CallRecord {
    /// The number of the record, which rises; not every number is used.
    pub id: u64,
    /// The call.
    pub res_id: String,
    /// Who called whom.
    pub call_dir: CallDir,
    /// The caller's URI.
    pub from_uri: String,
    /// The callee's URI.
    pub to_uri: String,
    /// The gateway that it came from, or went to.
    pub gateway: Option<String>,
    /// The SIP Call-ID; null where no INVITE could be sent.
    pub sip_call_id: Option<String>,
    /// When it began.
    pub begin_time_ms: i64,
    /// When it was answered.
    pub answer_time_ms: Option<i64>,
    /// When it ended; of a call that the end of a server cut off, when the next one found it.
    pub end_time_ms: i64,
    /// How long it was there; null where the end of a server cut it off.
    pub duration_ms: Option<u64>,
    /// How long it was answered; null where it was not, or where the end of a server cut it off.
    pub talk_ms: Option<u64>,
    /// Why it ended, a SIP status: 200 for a normal hang-up after the answer; 500 where the end of a server cut it off.
    pub cause: u16,
    /// The far end's Reason (RFC 3326), where it ended the call and said so.
    pub reason: Option<String>,
    /// Who ended it.
    pub dropped_by: DroppedBy,
    /// As given to `construct` or `answer`.
    pub user_data: Option<String>,
    /// The codec of an answered call.
    pub codec: Option<String>,
    /// RTP packets sent.
    pub packets_sent: u64,
    /// RTP packets received and accepted.
    pub packets_received: u64,
    /// Packets that never came; what came twice makes up for none.
    pub packets_lost: i64,
    /// Interarrival jitter in milliseconds, as of the end.
    pub jitter_ms: f64,
    /// Round trip in milliseconds, once both ends had reported.
    pub round_trip_ms: Option<f64>,
    /// An estimate of the mean opinion score of what arrived (ITU-T G.107), 1 to 4.41, once something had.
    pub mos: Option<f64>,
    /// The first 64 of its recordings, in their order: those of connections too, where it was their first party.
    pub recordings: Vec<String>,
}
