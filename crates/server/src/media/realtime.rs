//! Media threads before everything else of the machine, where that is asked for: on a core that others are busy on, a thread
//! that wakes up waits for the end of somebody's turn otherwise, up to some milliseconds, and its packets with it.

use thread_priority::{
    RealtimeThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy, set_thread_priority_and_policy,
    thread_native_id,
};
use tracing::warn;

/// Lets this thread come before all that are not in real time: by the lowest priority of those that are, so that what the
/// machine has in real time itself still comes first, and in turns, so that no media thread waits for another one's end. Goes
/// on as it was where the system does not allow it, and says so.
pub(super) fn come_first() {
    let policy = ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::RoundRobin);
    if let Err(error) = set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, policy) {
        warn!(
            %error,
            "media.realtime: this thread has no right to real time (CAP_SYS_NICE, or LimitRTPRIO=1 of its unit), and goes on \
             without"
        );
    }
}
