//! A dialog (RFC 3261 §12): what two user agents share once both tags are known. It says how requests inside it look
//! and where they go.
//!
//! ```text
//! Record-Route of the INVITE, in order (UAS), or of the response, reversed (UAC) = route set
//! route set empty:       Request-URI = remote target                        next hop = remote target
//! first route has `lr`:  Request-URI = remote target, Route = route set     next hop = first route
//! first route has none:  Request-URI = first route,   Route = rest + target next hop = first route
//! ```

use std::time::Instant;

use crate::core::{Core, Request};
use crate::event::{Body, Flow, Header, QueryId, SessionId, Target, Transport};
use crate::message::{Address, Draft, Message, Name, Uri};
use crate::resolve::{Destination, QUERY_LIMIT};

/// The longest route set. A call crosses a few proxies; each route is kept for as long as the call and sent with every
/// request.
const MAX_ROUTES: usize = 32;

/// How far the number of a BYE is above what was known of a dialog: more requests than we send in one (RFC 3261 §12.2.2
/// lets it be any higher number).
const CSEQ_AHEAD: u32 = 100_000;

/// A confirmed dialog, as much of it as another run of the process needs to end it ([`Command::Farewell`]).
///
/// [`Command::Farewell`]: crate::event::Command::Farewell
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DialogState {
    /// Its Call-ID.
    pub call_id: String,
    /// From of our requests, with our tag.
    pub local: String,
    /// To of our requests, with the peer's tag.
    pub remote: String,
    /// The number of our last request.
    pub cseq: u32,
    /// The URI of the peer's Contact.
    pub target: String,
    /// The route set.
    pub routes: Vec<String>,
}

impl DialogState {
    /// The BYE that ends it, and where it goes; none where the next hop is no URI.
    pub(crate) fn bye(self, headers: Vec<Header>) -> Option<(Draft, Destination)> {
        let next = first_route(&self.routes).or_else(|| Uri::parse(self.target.as_bytes()).ok())?;
        let destination = Destination::of(&next);
        let (uri, routes) = uri_and_routes(&self.target, &self.routes);
        let draft = Draft {
            method: "BYE",
            uri,
            routes,
            from: self.local.into_bytes(),
            to: self.remote.into_bytes(),
            call_id: self.call_id,
            // Below 2^31 (§8.1.1.5).
            cseq: self.cseq.saturating_add(CSEQ_AHEAD).min(i32::MAX.cast_unsigned()),
            headers,
            body: None,
        };
        Some((draft, destination))
    }
}

/// Where requests inside the dialog go.
#[derive(Clone, Debug)]
enum Hop {
    /// Nobody has wanted to know yet.
    Unknown,
    /// The name of the next hop is being resolved.
    Asked { query: QueryId, give_up: Instant },
    /// An address.
    Known(Flow),
}

/// One dialog, early or confirmed.
#[derive(Clone, Debug)]
pub(crate) struct Dialog {
    pub(crate) call_id: String,
    pub(crate) local_tag: String,
    pub(crate) remote_tag: String,
    /// From and To of our requests, with their tags, as they stood on the wire.
    local: Vec<u8>,
    remote: Vec<u8>,
    /// The number of our last request.
    local_cseq: u32,
    /// The number of the peer's last request.
    remote_cseq: Option<u32>,
    /// The URI of the peer's Contact.
    target: String,
    routes: Vec<String>,
    hop: Hop,
    /// The flow of the message that made the dialog: where requests go when its names cannot be resolved.
    origin: Flow,
}

/// The URI of the first Contact, and the Record-Route list; `None` where one is bad or the list too long.
fn target_and_routes(message: &Message) -> Option<(Option<String>, Vec<String>)> {
    let contact = match message.list(Name::Contact)?.first() {
        Some(contact) => Some(Address::parse(contact)?.uri),
        None => None,
    };
    let routes = message
        .list(Name::RecordRoute)?
        .into_iter()
        .map(|route| {
            let uri = Address::parse(&route)?.uri;
            Uri::parse(uri.as_bytes()).ok()?;
            String::from_utf8(route).ok()
        })
        .collect::<Option<Vec<_>>>()?;
    (routes.len() <= MAX_ROUTES).then_some((contact, routes))
}

/// The Request-URI and the Route headers of a request (§12.2.1.1).
fn uri_and_routes(target: &str, routes: &[String]) -> (String, Vec<String>) {
    match first_route(routes) {
        Some(first) if !first.is_loose() => {
            let mut routes: Vec<String> = routes.iter().skip(1).cloned().collect();
            routes.push(format!("<{target}>"));
            (first.as_str().to_owned(), routes)
        }
        _ => (target.to_owned(), routes.to_vec()),
    }
}

fn first_route(routes: &[String]) -> Option<Uri> {
    let address = Address::parse(routes.first()?.as_bytes())?;
    Uri::parse(address.uri.as_bytes()).ok()
}

impl Dialog {
    /// The URI of the peer's Contact.
    pub(crate) fn target(&self) -> &str {
        &self.target
    }

    /// The dialog of an INVITE that we answer with this tag (§12.1.1). `None` where Contact or Record-Route is bad.
    /// A peer without Contact (RFC 2543) is called back at its From.
    pub(crate) fn of_request(request: &Request, local_tag: String) -> Option<Self> {
        let Request { message, head, flow } = request;
        let (contact, routes) = target_and_routes(message)?;
        let mut local = message.value(Name::To)?.into_owned();
        local.extend_from_slice(format!(";tag={local_tag}").as_bytes());
        Some(Self {
            call_id: head.call_id.clone(),
            local_tag,
            remote_tag: head.from.tag().to_owned(),
            local,
            remote: message.value(Name::From)?.into_owned(),
            local_cseq: 0,
            remote_cseq: Some(head.cseq),
            target: contact.unwrap_or_else(|| head.from.uri.clone()),
            routes,
            hop: Hop::Unknown,
            origin: *flow,
        })
    }

    /// The dialog that a response makes of our INVITE (§12.1.2). Without a usable Contact the peer is reached where
    /// the INVITE was sent; a bad Record-Route counts as none: the call must at least be hung up.
    pub(crate) fn of_response(
        invite: &Draft,
        local_tag: &str,
        response: &Message,
        flow: Flow,
    ) -> Option<Self> {
        let remote = response.value(Name::To)?.into_owned();
        let (contact, mut routes) = target_and_routes(response).unwrap_or_default();
        routes.reverse();
        Some(Self {
            call_id: invite.call_id.clone(),
            local_tag: local_tag.to_owned(),
            remote_tag: Address::parse(&remote)?.tag().to_owned(),
            local: invite.from.clone(),
            remote,
            local_cseq: invite.cseq,
            remote_cseq: None,
            target: contact.unwrap_or_else(|| invite.uri.clone()),
            routes,
            hop: Hop::Unknown,
            origin: flow,
        })
    }

    /// The flow of the message that made the dialog.
    pub(crate) fn origin(&self) -> Flow {
        self.origin
    }

    /// The 2xx of a dialog that was early: it says anew where requests go, and the numbers go on (§13.2.2.4).
    pub(crate) fn confirm(&mut self, core: &mut Core, confirmed: Self) {
        self.forget_query(core);
        let numbers = (self.local_cseq.max(confirmed.local_cseq), self.remote_cseq);
        *self = confirmed;
        (self.local_cseq, self.remote_cseq) = numbers;
    }

    /// Target refresh (§12.2.1.2, §12.2.2): the Contact of an INVITE or UPDATE that was accepted, or of its 2xx.
    pub(crate) fn retarget(&mut self, core: &mut Core, message: &Message) {
        let Some(Some(target)) = message.contact() else { return };
        if target != self.target {
            self.forget_query(core);
            self.target = target;
            self.hop = Hop::Unknown;
        }
    }

    /// Takes the number of a request of the peer: `false` where it does not rise (§12.2.2). The same number in another
    /// transaction is a copy that took another path, or was replayed: what it asks for is not done twice.
    pub(crate) fn take_cseq(&mut self, cseq: u32) -> bool {
        if self.remote_cseq.is_some_and(|last| cseq <= last) {
            return false;
        }
        self.remote_cseq = Some(cseq);
        true
    }

    /// A request with the next number.
    pub(crate) fn request(
        &mut self,
        method: &'static str,
        headers: Vec<Header>,
        body: Option<Body>,
    ) -> Draft {
        self.local_cseq = self.local_cseq.saturating_add(1);
        self.draft(method, self.local_cseq, headers, body)
    }

    /// The ACK of a 2xx: it has the number of its INVITE, whatever was sent since (§13.2.2.4).
    pub(crate) fn ack(&self, cseq: u32, credentials: Vec<Header>) -> Draft {
        self.draft("ACK", cseq, credentials, None)
    }

    /// Who we are in this dialog.
    pub(crate) fn local_uri(&self) -> Option<String> {
        Address::parse(&self.local).map(|address| address.uri)
    }

    /// The Request-URI that a request will have: what a digest is computed over.
    pub(crate) fn request_uri(&self) -> String {
        uri_and_routes(&self.target, &self.routes).0
    }

    fn draft(&self, method: &'static str, cseq: u32, headers: Vec<Header>, body: Option<Body>) -> Draft {
        let (uri, routes) = uri_and_routes(&self.target, &self.routes);
        Draft {
            method,
            uri,
            routes,
            from: self.local.clone(),
            to: self.remote.clone(),
            call_id: self.call_id.clone(),
            cseq,
            headers,
            body,
        }
    }

    /// What another run of the process would need of it.
    pub(crate) fn state(&self) -> DialogState {
        DialogState {
            call_id: self.call_id.clone(),
            local: String::from_utf8_lossy(&self.local).into_owned(),
            remote: String::from_utf8_lossy(&self.remote).into_owned(),
            cseq: self.local_cseq,
            target: self.target.clone(),
            routes: self.routes.clone(),
        }
    }

    /// Where a request goes now; `None` while a name is being resolved.
    pub(crate) fn hop(&mut self, core: &mut Core, now: Instant, session: SessionId) -> Option<Flow> {
        if let Hop::Unknown = self.hop {
            let next = first_route(&self.routes).or_else(|| Uri::parse(self.target.as_bytes()).ok());
            self.hop = match next.as_ref().map_or(Destination::Unreachable, Destination::of) {
                Destination::Address { target, .. } => {
                    Hop::Known(self.flow_to(core, target).unwrap_or(self.origin))
                }
                Destination::Name(lookup) => {
                    let query = core.ask(session, lookup);
                    Hop::Asked { query, give_up: now + QUERY_LIMIT }
                }
                Destination::Unreachable => Hop::Known(self.origin),
            };
        }
        match self.hop {
            Hop::Known(flow) => Some(flow),
            Hop::Unknown | Hop::Asked { .. } => None,
        }
    }

    /// The flow to a target: that of the dialog's first message where it leads there, or starts at the same UDP
    /// address of ours, so that a call stays on the interface it came by.
    fn flow_to(&self, core: &Core, target: Target) -> Option<Flow> {
        let Flow { local, .. } = self.origin;
        let Target { transport, address: remote, name } = target;
        let flow = Flow { transport, local, remote, name };
        // A connection that the dialog was made by, by whomever, is good enough for the rest of it.
        if name.is_none() && flow == (Flow { name, ..self.origin }) {
            return Some(self.origin);
        }
        let same_way = transport == Transport::Udp
            && self.origin.transport == Transport::Udp
            && local.is_ipv4() == remote.is_ipv4();
        if same_way { Some(flow) } else { core.flow_to(target) }
    }

    /// The answer of the name service. Says whether it was this dialog's question.
    pub(crate) fn on_resolved(&mut self, core: &Core, query: QueryId, targets: &[Target]) -> bool {
        match self.hop {
            Hop::Asked { query: asked, .. } if asked == query => {
                let flow = targets.iter().find_map(|&target| self.flow_to(core, target));
                self.hop = Hop::Known(flow.unwrap_or(self.origin));
                true
            }
            _ => false,
        }
    }

    /// When the answer of the name service is no longer waited for.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match self.hop {
            Hop::Asked { give_up, .. } => Some(give_up),
            Hop::Unknown | Hop::Known(_) => None,
        }
    }

    /// Gives up on the name service if its time is over; says so.
    pub(crate) fn on_deadline(&mut self, core: &mut Core, now: Instant) -> bool {
        match self.hop {
            Hop::Asked { query, give_up, .. } if give_up <= now => {
                core.queries.remove(&query);
                self.hop = Hop::Known(self.origin);
                true
            }
            _ => false,
        }
    }

    /// The session is over: no answer of the name service is wanted any more.
    pub(crate) fn forget_query(&self, core: &mut Core) {
        if let Hop::Asked { query, .. } = self.hop {
            core.queries.remove(&query);
        }
    }
}
