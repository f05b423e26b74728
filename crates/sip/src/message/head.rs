//! The six mandatory fields of every message (RFC 3261 §8.1.1), read together: what a transaction, a dialog and the
//! user agent core ask of a message before anything else.

use super::name::{Method, Name, is_token};
use super::scan::{self, number};
use super::{Address, Fault, Message, Via};

/// CSeq numbers are below 2^31 (§8.1.1.5).
const MAX_CSEQ: u32 = 0x7fff_ffff;
/// Max-Forwards is one octet (§20.22).
const MAX_FORWARDS: u32 = 255;

/// The mandatory fields, checked.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    /// The topmost Via.
    pub(crate) via: Via,
    /// The initiator of the request.
    pub(crate) from: Address,
    /// The logical recipient.
    pub(crate) to: Address,
    /// The Call-ID.
    pub(crate) call_id: String,
    /// The sequence number of CSeq.
    pub(crate) cseq: u32,
    /// The method of CSeq; in a request the same as that of the request line.
    pub(crate) method: Method,
}

impl Head {
    /// Reads and checks the mandatory fields.
    pub(crate) fn of(message: &Message) -> Result<Self, Fault> {
        let via = message.top_via().ok_or(Fault::bad("Bad Via"))?;
        if let Some(fault) = message.fault() {
            return Err(fault);
        }
        let address = |name| Address::parse(&message.value(name)?);
        let from = address(Name::From).ok_or(Fault::bad("Bad From"))?;
        let to = address(Name::To).ok_or(Fault::bad("Bad To"))?;
        let call_id =
            message.value(Name::CallId).filter(|id| is_call_id(id)).ok_or(Fault::bad("Bad Call-ID"))?;
        let (cseq, method) = message
            .value(Name::CSeq)
            .and_then(|value| {
                let (number_text, method) =
                    value.split_at_checked(value.iter().position(u8::is_ascii_whitespace)?)?;
                let method = scan::trim(method);
                is_token(method).then_some(())?;
                Some((number(number_text, MAX_CSEQ)?, method.to_vec()))
            })
            .ok_or(Fault::bad("Bad CSeq"))?;
        if message.status().is_none() {
            if method != message.method() {
                // Of a method that we do not know, we cannot know either what its CSeq should say (RFC 4475 §3.1.2.18).
                return Err(match Method::of(message.method()) {
                    Method::Unknown => Fault { status: 501, phrase: "Not Implemented" },
                    _ => Fault::bad("CSeq Method Does Not Match"),
                });
            }
            // 0 is as good as any: 483 is for who has to forward the request (§16.3), and we are where it ends (RFC 4475
            // §3.3.11). Where there is none, it is an RFC 2543 client's.
            let forwards = message.value(Name::MaxForwards);
            if forwards.is_some_and(|value| number(&value, MAX_FORWARDS).is_none()) {
                return Err(Fault::bad("Bad Max-Forwards"));
            }
        }
        Ok(Self { via, from, to, call_id: scan::lossy(&call_id), cseq, method: Method::of(&method) })
    }
}

/// `word [ "@" word ]`: anything without white space.
fn is_call_id(value: &[u8]) -> bool {
    !value.is_empty() && value.iter().all(u8::is_ascii_graphic)
}
