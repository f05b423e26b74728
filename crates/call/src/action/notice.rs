//! What calls that have to do with each other tell each other: the parties of a connection, and a call and the one that is
//! dialled for it, which may be a conference as well. A notice is delivered within the same step, so nobody ever sees one of the two alone in a state that both
//! are in.

use crate::id::CallId;

/// What one call tells another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Notice {
    /// To the second party: you are connected with me.
    Joined { first: CallId },
    /// To the second party: we are connected no longer.
    Parted,
    /// To the first party: I was hung up.
    Gone,
    /// To a parent: of the call that is dialled for you.
    Child { child: CallId, news: News },
    /// To a child: now call.
    Go,
    /// To a child: I was hung up.
    Orphaned,
}

/// What a call or a conference is told of one that is dialled for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// It is there.
    Placed,
    /// It could not be placed, and is not there.
    NotPlaced,
    /// What there is to hear of its far end has changed.
    FarEnd(FarEnd),
    /// It is answered.
    Answered,
    /// It will not be answered.
    Failed,
}

/// What there is to hear of a far end that has not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FarEnd {
    /// Nothing: it does not ring.
    Silent,
    /// It rings, and lets nothing be heard.
    Rings,
    /// It rings, and lets be heard what it likes (early media).
    Sounds,
}
