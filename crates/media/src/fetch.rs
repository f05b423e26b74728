//! Legs brought into the caches before their turn: while one leg is at work, something of each line of memory that the next one
//! needs is read ([`Leg::fetch`](crate::Leg)), so that these lines come all at once and meanwhile.

use crate::Placed;
use crate::event::LegId;
use crate::numbered::Numbered;

/// Each with the one that comes after it, to be fetched meanwhile.
pub(crate) fn each_and_next<T>(all: &[T]) -> impl Iterator<Item = (&T, Option<&T>)> {
    all.iter().enumerate().map(|(index, one)| (one, all.get(index + 1)))
}

/// Brings a leg that is needed next into the caches.
pub(crate) fn fetch(legs: &Numbered<LegId, Placed>, leg: Option<&LegId>) {
    if let Some(Placed { leg, .. }) = leg.and_then(|leg| legs.get(leg)) {
        leg.fetch();
    }
}
