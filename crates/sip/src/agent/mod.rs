//! What the endpoint does outside of calls, on its own account: registrations, pings, messages. Each is a value like a
//! session; they share one request's life, and are found by number.
//!
//! ```text
//!   register   REGISTER, again and again
//!   ping       OPTIONS, again and again
//!   page       one MESSAGE
//!   farewell   the BYE of a call of an earlier run
//!     asking     one request: names, addresses, challenges, until its final response
//! ```

mod asking;
mod farewell;
mod page;
mod ping;
mod register;

use std::collections::HashMap;
use std::time::Instant;

use farewell::Farewell;
use page::Pager;
use ping::Pinger;
use register::Account;

use crate::core::Core;
use crate::event::{
    CommandError, DialogState, GatewayName, Page, PageId, Ping, QueryId, Reason, Registration, Target,
};
use crate::message::{Message, Scheme, Uri, reason_header};
use crate::session::check;
use crate::transaction::timer::Deadlines;
use crate::transaction::{AgentId, TransactionId};

/// The most accounts, and the most gateways that are asked: more than any configuration has.
const MAX_NAMES: usize = 1000;
/// The most messages under way.
const MAX_PAGES: usize = 1000;
/// The most of all, with the registrations that are replaced and still have to be removed.
const MAX_AGENTS: usize = 4000;

/// One of them.
enum Agent {
    Registration(Box<Account>),
    Ping(Box<Pinger>),
    Page(Box<Pager>),
    Farewell(Box<Farewell>),
}

impl Agent {
    fn on_resolved(&mut self, core: &mut Core, now: Instant, query: QueryId, targets: &[Target]) {
        match self {
            Self::Registration(account) => account.on_resolved(core, now, query, targets),
            Self::Ping(pinger) => pinger.on_resolved(core, now, query, targets),
            Self::Page(pager) => pager.on_resolved(core, now, query, targets),
            Self::Farewell(farewell) => farewell.on_resolved(core, now, query, targets),
        }
    }

    fn on_response(
        &mut self,
        core: &mut Core,
        now: Instant,
        transaction: TransactionId,
        response: Option<&Message>,
        otherwise: u16,
    ) {
        match self {
            Self::Registration(account) => account.on_response(core, now, transaction, response, otherwise),
            Self::Ping(pinger) => pinger.on_response(core, now, transaction, response, otherwise),
            Self::Page(pager) => pager.on_response(core, now, transaction, response, otherwise),
            Self::Farewell(farewell) => farewell.on_response(core, now, transaction, response, otherwise),
        }
    }

    fn on_deadline(&mut self, core: &mut Core, now: Instant) {
        match self {
            Self::Registration(account) => account.on_deadline(core, now),
            Self::Ping(pinger) => pinger.on_deadline(core, now),
            Self::Page(pager) => pager.on_deadline(core, now),
            Self::Farewell(farewell) => farewell.on_deadline(core, now),
        }
    }

    fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Registration(account) => account.deadline(),
            Self::Ping(pinger) => pinger.deadline(),
            Self::Page(pager) => pager.deadline(),
            Self::Farewell(farewell) => farewell.deadline(),
        }
    }

    fn is_busy(&self) -> bool {
        match self {
            Self::Registration(account) => account.is_busy(),
            Self::Ping(pinger) => pinger.is_busy(),
            Self::Page(_) | Self::Farewell(_) => true,
        }
    }

    fn is_over(&self) -> bool {
        match self {
            Self::Registration(account) => account.is_over(),
            Self::Ping(_) => false,
            Self::Page(pager) => pager.is_over(),
            Self::Farewell(farewell) => farewell.is_over(),
        }
    }
}

/// All of them.
pub(crate) struct Agents {
    next: u64,
    all: HashMap<AgentId, Agent>,
    accounts: HashMap<GatewayName, AgentId>,
    gateways: HashMap<GatewayName, AgentId>,
    pages: HashMap<PageId, AgentId>,
    deadlines: Deadlines<AgentId>,
}

impl Agents {
    pub(crate) fn new() -> Self {
        Self {
            next: 0,
            all: HashMap::new(),
            accounts: HashMap::new(),
            gateways: HashMap::new(),
            pages: HashMap::new(),
            deadlines: Deadlines::new(),
        }
    }

    /// Begins or replaces a registration.
    pub(crate) fn register(
        &mut self,
        core: &mut Core,
        now: Instant,
        wanted: Registration,
    ) -> Result<(), CommandError> {
        let destination = check::route(&wanted.registrar)?;
        sip_uri(&wanted.aor)?;
        let contact = format!("sip:{}@localhost", wanted.contact_user);
        if wanted.contact_user.contains(['@', '?']) || Uri::parse(contact.as_bytes()).is_err() {
            return Err(CommandError::BadUri(wanted.contact_user));
        }
        let former = self.accounts.get(&wanted.account).copied();
        if let Some(id) = former
            && let Some(Agent::Registration(account)) = self.all.get_mut(&id)
            && account.is_same(&wanted)
        {
            account.replace(core, now, wanted, destination);
            self.settle(id);
            return Ok(());
        }
        self.admit(self.accounts.len() - usize::from(former.is_some()), MAX_NAMES)?;
        if let Some(id) = former {
            if let Some(Agent::Registration(account)) = self.all.get_mut(&id) {
                account.leave_silently(core, now);
            }
            self.settle(id);
        }
        let id = self.number();
        self.accounts.insert(wanted.account.clone(), id);
        let account = Account::start(core, now, id, wanted, destination);
        self.insert(id, Agent::Registration(Box::new(account)));
        Ok(())
    }

    /// Ends a registration.
    pub(crate) fn unregister(
        &mut self,
        core: &mut Core,
        now: Instant,
        name: &GatewayName,
    ) -> Result<(), CommandError> {
        let id = *self.accounts.get(name).ok_or(CommandError::Unknown)?;
        if let Some(Agent::Registration(account)) = self.all.get_mut(&id) {
            account.leave(core, now);
        }
        self.settle(id);
        Ok(())
    }

    /// Begins or replaces the questions to a gateway.
    pub(crate) fn ping(&mut self, core: &mut Core, now: Instant, ping: Ping) -> Result<(), CommandError> {
        let destination = check::route(&ping.route)?;
        if !self.gateways.contains_key(&ping.gateway) {
            self.admit(self.gateways.len(), MAX_NAMES)?;
        }
        // A gateway that was not asked before has nothing to forget.
        let _ = self.unping(core, &ping.gateway);
        let id = self.number();
        self.gateways.insert(ping.gateway.clone(), id);
        let pinger = Pinger::start(core, now, id, ping, destination);
        self.insert(id, Agent::Ping(Box::new(pinger)));
        Ok(())
    }

    /// Asks a gateway no more.
    pub(crate) fn unping(&mut self, core: &mut Core, name: &GatewayName) -> Result<(), CommandError> {
        let id = self.gateways.remove(name).ok_or(CommandError::Unknown)?;
        if let Some(Agent::Ping(mut pinger)) = self.all.remove(&id) {
            pinger.abandon(core);
        }
        self.deadlines.set(id, None);
        Ok(())
    }

    /// Sends a message.
    pub(crate) fn page(&mut self, core: &mut Core, now: Instant, page: Page) -> Result<(), CommandError> {
        let destination = check::route(&page.route)?;
        check::sender(&page.from)?;
        check::headers(&page.headers, false)?;
        check::body(&page.body)?;
        if self.pages.contains_key(&page.page) {
            return Err(CommandError::WrongState);
        }
        self.admit(self.pages.len(), MAX_PAGES)?;
        if core.transactions.len() >= core.config.max_transactions {
            return Err(CommandError::Full);
        }
        let id = self.number();
        self.pages.insert(page.page, id);
        let pager = Pager::start(core, now, id, page, destination);
        self.insert(id, Agent::Page(Box::new(pager)));
        Ok(())
    }

    /// Ends a call of an earlier run.
    pub(crate) fn farewell(
        &mut self,
        core: &mut Core,
        now: Instant,
        dialog: DialogState,
        reason: Option<&Reason>,
    ) -> Result<(), CommandError> {
        let headers = reason.map(reason_header).into_iter().collect();
        let target = dialog.target.clone();
        let (draft, destination) = dialog.bye(headers).ok_or(CommandError::BadUri(target))?;
        self.admit(0, MAX_NAMES)?;
        if core.transactions.len() >= core.config.max_transactions {
            return Err(CommandError::Full);
        }
        let id = self.number();
        let farewell = Farewell::start(core, now, id, draft, destination);
        self.insert(id, Agent::Farewell(Box::new(farewell)));
        Ok(())
    }

    /// The answer of the name service.
    pub(crate) fn on_resolved(
        &mut self,
        core: &mut Core,
        now: Instant,
        id: AgentId,
        query: QueryId,
        targets: &[Target],
    ) {
        if let Some(agent) = self.all.get_mut(&id) {
            agent.on_resolved(core, now, query, targets);
        }
        self.settle(id);
    }

    /// A final response to a request; `None` where none came, and `otherwise` says why.
    pub(crate) fn on_response(
        &mut self,
        core: &mut Core,
        now: Instant,
        (id, transaction): (AgentId, TransactionId),
        response: Option<&Message>,
        otherwise: u16,
    ) {
        if let Some(agent) = self.all.get_mut(&id) {
            agent.on_response(core, now, transaction, response, otherwise);
        }
        self.settle(id);
    }

    /// Runs everything whose time has come.
    pub(crate) fn handle_timeout(&mut self, core: &mut Core, now: Instant) {
        for id in self.deadlines.due(now) {
            if let Some(agent) = self.all.get_mut(&id) {
                agent.on_deadline(core, now);
            }
            self.settle(id);
        }
    }

    /// The next deadline of any of them.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.next()
    }

    /// Whether no request is under way.
    pub(crate) fn is_quiet(&self) -> bool {
        !self.all.values().any(Agent::is_busy)
    }

    /// How many accounts there are, and how many of them are registered.
    pub(crate) fn registrations(&self) -> (usize, usize) {
        let is_registered = |id: &&AgentId| match self.all.get(id) {
            Some(Agent::Registration(account)) => account.is_registered(),
            _ => false,
        };
        (self.accounts.len(), self.accounts.values().filter(is_registered).count())
    }

    /// Asserts that nothing is left in any table.
    #[cfg(test)]
    pub(crate) fn assert_empty(&self) {
        assert_eq!(
            (self.all.len(), self.accounts.len(), self.gateways.len(), self.pages.len()),
            (0, 0, 0, 0)
        );
        assert_eq!(self.deadlines.next(), None);
    }

    fn admit(&self, named: usize, limit: usize) -> Result<(), CommandError> {
        if named >= limit || self.all.len() >= MAX_AGENTS { Err(CommandError::Full) } else { Ok(()) }
    }

    fn number(&mut self) -> AgentId {
        self.next += 1;
        AgentId(self.next)
    }

    fn insert(&mut self, id: AgentId, agent: Agent) {
        self.all.insert(id, agent);
        self.settle(id);
    }

    /// After every input: the new deadline, or the end.
    fn settle(&mut self, id: AgentId) {
        let Some(agent) = self.all.get(&id) else { return };
        if agent.is_over() {
            self.all.remove(&id);
            self.deadlines.set(id, None);
            self.accounts.retain(|_, other| *other != id);
            self.pages.retain(|_, other| *other != id);
        } else {
            self.deadlines.set(id, agent.deadline());
        }
    }
}

fn sip_uri(text: &str) -> Result<(), CommandError> {
    match Uri::parse(text.as_bytes()).map(|uri| uri.scheme()) {
        Ok(Scheme::Sip | Scheme::Sips) => Ok(()),
        Err(_) => Err(CommandError::BadUri(text.to_owned())),
    }
}
