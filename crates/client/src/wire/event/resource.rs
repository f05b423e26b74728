//! Which call or conference an event is of.

use super::EventKind;

impl EventKind {
    /// The call or the conference that it is of; none for `sys.node.*` and `sys.event.*`.
    pub fn res_id(&self) -> Option<&str> {
        Some(match self {
            Self::Incoming(e) => &e.res_id,
            Self::Ringing(e) => &e.res_id,
            Self::AnswerCompleted(e) => &e.res_id,
            Self::DialCompleted(e) => &e.res_id,
            Self::PlayCompleted(e) => &e.res_id,
            Self::RecordCompleted(e) => &e.res_id,
            Self::SendDtmfCompleted(e) => &e.res_id,
            Self::ReceiveDtmfCompleted(e) => &e.res_id,
            Self::ConnectCompleted(e) => &e.res_id,
            Self::ConfCompleted(e) => &e.res_id,
            Self::TransferCompleted(e) => &e.res_id,
            Self::TransferRequested(e) => &e.res_id,
            Self::Message(e) => &e.res_id,
            Self::MessageCompleted(e) => &e.res_id,
            Self::Detected(e) => &e.res_id,
            Self::DetectCompleted(e) => &e.res_id,
            Self::Released(e) => &e.res_id,
            Self::Dtmf(e) => &e.res_id,
            Self::Hold(e) => &e.res_id,
            Self::MediaAlarm(e) => &e.res_id,
            Self::StateChanged(e) => &e.res_id,
            Self::PartEntered(e) => &e.res_id,
            Self::PartExited(e) => &e.res_id,
            Self::Talking(e) => &e.res_id,
            Self::ConferencePlayCompleted(e) => &e.res_id,
            Self::ConferenceRecordCompleted(e) => &e.res_id,
            Self::ConferenceReleased(e) => &e.res_id,
            Self::NodeMessage(_)
            | Self::NodeMessageCompleted(_)
            | Self::GatewayState(_)
            | Self::RegistrationState(_)
            | Self::NodeStarted(_)
            | Self::RecordingRecovered(_)
            | Self::Gap(_)
            | Self::SyncBegin(_)
            | Self::SyncCall(_)
            | Self::SyncConference(_)
            | Self::SyncEnd(_)
            | Self::Closed(_)
            | Self::Other => return None,
        })
    }
}
