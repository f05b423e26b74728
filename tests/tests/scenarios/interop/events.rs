//! The events that these scenarios wait for.

use offhook_client::wire::{EventKind, OnNodeMessage, OnTransferCompleted, OnTransferRequested};
use offhook_tests::app::App;
use offhook_tests::wait::PATIENCE;

/// Whether the call is on hold now.
pub(super) async fn held(app: &mut App, call: &str) -> bool {
    let pick = |kind: &EventKind| match kind {
        EventKind::Hold(event) if event.res_id == call => Some(event.held),
        _ => None,
    };
    app.event("on_hold", PATIENCE, pick).await
}

/// Whom the far end wants to be connected with.
pub(super) async fn transfer_requested(app: &mut App) -> OnTransferRequested {
    let pick = |kind: &EventKind| match kind {
        EventKind::TransferRequested(event) => Some(event.clone()),
        _ => None,
    };
    app.event("on_transfer_requested", PATIENCE, pick).await
}

/// How the transfer went that the application asked for.
pub(super) async fn transfer_completed(app: &mut App) -> OnTransferCompleted {
    let pick = |kind: &EventKind| match kind {
        EventKind::TransferCompleted(event) => Some(event.clone()),
        _ => None,
    };
    app.event("on_transfer_completed", PATIENCE, pick).await
}

/// What was said outside of calls.
pub(super) async fn message(app: &mut App) -> OnNodeMessage {
    let pick = |kind: &EventKind| match kind {
        EventKind::NodeMessage(event) => Some(event.clone()),
        _ => None,
    };
    app.event("sys.node.on_message", PATIENCE, pick).await
}
