//! A MESSAGE outside of a dialog (RFC 3428 §4): one request and its answer.

use std::time::Instant;

use super::asking::{Asking, Form, Means, Outcome};
use crate::auth::Authenticator;
use crate::core::Core;
use crate::event::{Event, Page, PageId, QueryId, Target};
use crate::message::{Draft, Message};
use crate::resolve::Destination;
use crate::transaction::{AgentId, TransactionId};

/// One message on its way.
pub(crate) struct Pager {
    id: AgentId,
    page: PageId,
    authenticator: Option<Authenticator>,
    /// None when it is over.
    asking: Option<Asking>,
}

impl Pager {
    /// Sends a message. The command has been checked.
    pub(crate) fn start(
        core: &mut Core,
        now: Instant,
        id: AgentId,
        page: Page,
        destination: Destination,
    ) -> Self {
        let tag = core.random.token();
        let draft = Draft {
            method: "MESSAGE",
            uri: page.route.to.clone(),
            routes: Vec::new(),
            from: format!("<{}>;tag={tag}", page.from).into_bytes(),
            to: format!("<{}>", page.route.to).into_bytes(),
            call_id: core.random.call_id(),
            cseq: 1,
            headers: page.headers,
            body: Some(page.body),
        };
        let authenticator = page.route.credentials.map(Authenticator::new);
        let mut pager = Self { id, page: page.page, authenticator, asking: None };
        let mut means = Means { core, now, id, authenticator: pager.authenticator.as_mut() };
        let (asking, outcome) = Asking::start(&mut means, draft, Form::Plain, destination);
        pager.asking = Some(asking);
        pager.end(core, outcome);
        pager
    }

    pub(crate) fn on_resolved(&mut self, core: &mut Core, now: Instant, query: QueryId, targets: &[Target]) {
        let outcome = self.with(core, now, |asking, means| asking.on_resolved(means, query, targets));
        self.end(core, outcome);
    }

    pub(crate) fn on_response(
        &mut self,
        core: &mut Core,
        now: Instant,
        transaction: TransactionId,
        response: Option<&Message>,
        otherwise: u16,
    ) {
        let outcome =
            self.with(core, now, |asking, means| asking.on_response(means, transaction, response, otherwise));
        self.end(core, outcome);
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.asking.as_ref().and_then(Asking::deadline)
    }

    pub(crate) fn on_deadline(&mut self, core: &mut Core, now: Instant) {
        let outcome = self.with(core, now, |asking, means| asking.on_deadline(means));
        self.end(core, outcome);
    }

    pub(crate) fn is_over(&self) -> bool {
        self.asking.is_none()
    }

    fn with<'m>(
        &mut self,
        core: &mut Core,
        now: Instant,
        input: impl FnOnce(&mut Asking, &mut Means<'_>) -> Option<Outcome<'m>>,
    ) -> Option<Outcome<'m>> {
        let asking = self.asking.as_mut()?;
        input(asking, &mut Means { core, now, id: self.id, authenticator: self.authenticator.as_mut() })
    }

    fn end(&mut self, core: &mut Core, outcome: Option<Outcome<'_>>) {
        if let Some(Outcome { status, .. }) = outcome {
            self.asking = None;
            core.tell(Event::Paged { page: self.page, status });
        }
    }
}
