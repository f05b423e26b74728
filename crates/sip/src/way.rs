//! The way of one request: the addresses of its next hop, to be tried one after the other (RFC 3263 §4.3), and the
//! transport by its size (RFC 3261 §18.1.1).
//!
//! ```text
//! Destination ─► address ─────────────► next ─► fit: TCP where it is too large for UDP ─► the request
//!            └─► name ─► Resolved ─►      ▲                                                  │
//!                                         └── nobody answered, refused, not reached ◄────────┤
//!                                             fall_back: by UDP after all ◄── TCP failed ◄───┘
//! ```

use std::collections::VecDeque;

use crate::core::Core;
use crate::event::{Flow, Lookup, Target, Transport};
use crate::message::Draft;
use crate::resolve::{Destination, MAX_ADDRESSES};

/// The largest request that goes by UDP where the transport is ours to choose: larger ones are cut into fragments on
/// the way, and those get lost (RFC 3261 §18.1.1).
const MAX_DATAGRAM: usize = 1300;

/// The addresses of one next hop.
#[derive(Clone, Debug, Default)]
pub(crate) struct Way {
    /// Those not tried yet.
    targets: VecDeque<Target>,
    /// The one that is tried now.
    present: Option<Flow>,
    /// Whether the transport is said, or the other one has failed: it is not ours to choose.
    fixed: bool,
    /// Whether it was for the next address.
    said: bool,
}

impl Way {
    /// The way to a destination, and what has to be asked before it can be gone.
    pub(crate) fn to(destination: Destination) -> (Self, Option<Lookup>) {
        match destination {
            Destination::Address { target, fixed } => {
                (Self { targets: [target].into(), said: fixed, ..Self::default() }, None)
            }
            Destination::Name(lookup) => {
                let said = lookup.transport.is_some();
                (Self { said, ..Self::default() }, Some(lookup))
            }
            Destination::Unreachable => (Self::default(), None),
        }
    }

    /// The answer of the name service.
    pub(crate) fn resolved(&mut self, targets: &[Target]) {
        self.targets.extend(targets.iter().take(MAX_ADDRESSES));
    }

    /// Goes to the next address that we have a way to; says whether there was one.
    pub(crate) fn next(&mut self, core: &Core) -> bool {
        self.fixed = self.said;
        self.present = None;
        while let Some(target) = self.targets.pop_front() {
            self.present = core.flow_to(target);
            if self.present.is_some() {
                return true;
            }
        }
        false
    }

    /// Whether there is an address after the present one that we have a way to.
    pub(crate) fn goes_on(&self, core: &Core) -> bool {
        self.targets.iter().any(|target| core.flow_to(*target).is_some())
    }

    /// The flow to the present address, before the size of a request is known.
    pub(crate) fn present(&self) -> Option<Flow> {
        self.present
    }

    /// The flow for a request to the present address.
    pub(crate) fn fit(&self, core: &Core, draft: &Draft) -> Option<Flow> {
        let flow = self.present?;
        if flow.transport != Transport::Udp || self.fixed || core.size(flow, draft) <= MAX_DATAGRAM {
            return Some(flow);
        }
        let Flow { remote: address, name, .. } = flow;
        Some(core.flow_to(Target { transport: Transport::Tcp, address, name }).unwrap_or(flow))
    }

    /// No other address is to be tried.
    pub(crate) fn close(&mut self) {
        self.targets.clear();
    }

    /// A request that went by this flow could not be sent: whether the same address is worth another, by UDP.
    pub(crate) fn fall_back(&mut self, flow: Flow) -> bool {
        let chosen = self.present.is_some_and(|present| present.transport != flow.transport);
        self.fixed |= chosen;
        chosen
    }
}
