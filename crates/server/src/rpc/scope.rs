//! How far a token must reach for each method: the one table, which the door enforces ([`Known`](super::Known)) and the contract
//! shows (`x-scope`).

use std::collections::HashMap;

use jsonrpsee::types::Request;
use offhook_client::wire::{self, Method, Scope};

use super::method::{self, Served, Visitor};
use super::params;

/// Every method, and the scope that it needs.
#[derive(Debug)]
pub(crate) struct Scopes(HashMap<&'static str, Scope>);

impl Scopes {
    /// Those of `names`. One that nobody has thought of is for the owner of the node alone.
    pub(super) fn of(names: impl Iterator<Item = &'static str>) -> Self {
        let known = Self::known();
        Self(names.map(|name| (name, known.of_method(name))).collect())
    }

    /// Those that are told in the contract.
    pub(super) fn known() -> Self {
        let reading = [
            wire::Subscribe::NAME,
            wire::UNSUBSCRIBE,
            wire::Ack::NAME,
            wire::Cdr::NAME,
            wire::Explain::NAME,
            wire::Discover::NAME,
        ];
        let mut scopes = Self(reading.map(|name| (name, Scope::Read)).into());
        method::visit(&mut scopes);
        scopes
    }

    /// A method by its name, where there is one.
    pub(super) fn name(&self, name: &str) -> Option<&'static str> {
        self.0.get_key_value(name).map(|(name, _)| *name)
    }

    /// What a method needs.
    pub(super) fn of_method(&self, name: &str) -> Scope {
        self.0.get(name).copied().unwrap_or(Scope::Admin)
    }

    /// What a request needs; none: there is no such method.
    pub(super) fn of_request(&self, request: &Request<'_>) -> Option<Scope> {
        let scope = *self.0.get(request.method_name())?;
        // Who joins a group takes calls away from its other members.
        let takes_work = request.method_name() == wire::Subscribe::NAME
            && params::parse::<wire::Subscribe>(request.params().as_str())
                .is_ok_and(|subscribe| subscribe.group.is_some());
        Some(if takes_work { Scope::Call } else { scope })
    }
}

impl Visitor for Scopes {
    fn method<M: Served>(&mut self) {
        self.0.insert(M::NAME, M::SCOPE);
    }
}
