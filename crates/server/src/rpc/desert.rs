//! The calls of applications that have gone and do not come back (`hangup_after_seconds` of `sys.event.subscribe`).

use std::convert::Infallible;
use std::time::Duration;

use offhook_call::command::Command;
use offhook_call::error::Error;
use offhook_call::id::{CallId, NodeId};

use crate::control_handle::ControlHandle;
use crate::events::{Deserted, Groups};

/// The cause of a call that no application attends to: as of one that none has ever acted on (RFC 3261 §21.4.18).
const UNATTENDED: u16 = 480;

/// How long a control loop is left alone that has no room for another request.
const REST: Duration = Duration::from_millis(100);

/// Drops calls as soon as their group has been without a subscriber for too long. Its conferences end by themselves when they are
/// empty.
pub(crate) async fn drop_deserted(groups: &Groups, node: NodeId, control: &ControlHandle) -> Infallible {
    loop {
        for Deserted { group, res_ids } in groups.deserted().await {
            let calls: Vec<_> = res_ids.iter().filter_map(|res_id| node.parse_res_id(res_id)).collect();
            tracing::warn!(
                group,
                calls = calls.len(),
                "no subscriber has come back in time: calls are dropped"
            );
            for call in calls {
                drop_call(call, control).await;
            }
        }
    }
}

/// One after the other, so that ten thousand of them do not take the places of other requests.
async fn drop_call(call: CallId, control: &ControlHandle) {
    while let Err(Error::LimitReached { .. }) =
        control.request(Command::Drop { call, cause: UNATTENDED }).await
    {
        rest().await;
    }
    // Any other error means that it is over already.
}

#[allow(clippy::disallowed_methods, reason = "waits for the control loop, which has no state of this")]
async fn rest() {
    tokio::time::sleep(REST).await;
}
