//! Messages outside of any call (RFC 3428): each goes one way after the other until somebody answers it, and is told of
//! exactly once.

use std::collections::HashMap;
use std::collections::VecDeque;

use offhook_sip::event::{self as sip, Body, PageId, Route};

use crate::cause::Failure;
use crate::command::SendPage;
use crate::error::Error;
use crate::event::NodeEventKind;
use crate::id::MessageId;
use crate::node::Context;
use crate::output::Reply;

/// Messages that wait for their answers, each for 32 s at most on each way: beyond it a gateway is silent, and more
/// would only wait with them.
const PAGES_WAITING: usize = 1_000;

/// The messages of a node that are on their way.
#[derive(Debug, Default)]
pub(crate) struct Pages {
    waiting: HashMap<PageId, Page>,
}

/// One message, and the ways that are left to it.
#[derive(Debug)]
struct Page {
    from: String,
    body: Body,
    routes: VecDeque<Route>,
}

/// Sends a message.
pub(crate) fn send(cx: &mut Context<'_>, send: SendPage) -> Result<Reply, Error> {
    if cx.node.pages.waiting.len() >= PAGES_WAITING {
        return Err(Error::LimitReached { limit: "messages", value: PAGES_WAITING as u64 });
    }
    let routes = cx.node.gateways.ways(cx.now.mono, &send.to_uri)?;
    let message = cx.new_message();
    let mut page = Page { from: send.from_uri, body: send.body, routes: routes.into() };
    page.next(cx, PageId(message.0));
    cx.node.pages.waiting.insert(PageId(message.0), page);
    Ok(Reply::Message(message))
}

/// A message has been answered, or could not be sent: then the next way is tried, as an INVITE would.
pub(crate) fn paged(cx: &mut Context<'_>, id: PageId, sip_status: u16) {
    let Some(mut page) = cx.node.pages.waiting.remove(&id) else { return };
    if matches!(sip_status, 408 | 503) && page.next(cx, id) {
        cx.node.pages.waiting.insert(id, page);
        return;
    }
    let error = Failure::of_status(sip_status);
    cx.tell_node(NodeEventKind::MessageCompleted { message: MessageId(id.0), error, sip_status });
}

impl Page {
    /// Sends it the next way, if there is one.
    fn next(&mut self, cx: &mut Context<'_>, page: PageId) -> bool {
        let Some(route) = self.routes.pop_front() else { return false };
        let (from, body) = (self.from.clone(), self.body.clone());
        cx.sip(sip::Command::Page(Box::new(sip::Page { page, from, route, headers: Vec::new(), body })));
        true
    }
}
