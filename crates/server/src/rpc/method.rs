//! The methods of `sys.call`: what each asks of the calls, and what their reply is to the application.

use offhook_call::Reply;
use offhook_call::command::{Command, Construct, Parent, ReceiveDtmf, SendPage};
use offhook_call::id::NodeId;
use offhook_call::prompt::Language;
use offhook_client::wire::limits::{
    CAUSE_MAX, CAUSE_MIN, KEY_SECONDS_MAX, KEYS_MAX, PAGE_MAX, REPEAT_MAX, RING_SECONDS_MAX, SECONDS_MAX,
    STATUS_MAX, STATUS_MIN,
};
use offhook_client::wire::{self, ErrorData, Scope};
use schemars::JsonSchema;

use super::content::content;
use super::{check, conference, connection, names, reply};

/// Which node this is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Node {
    /// The numbers that begin every `res_id`.
    pub(crate) id: NodeId,
    /// The process, below 2^53.
    pub(crate) process_id: u64,
    /// What values are said in where nothing else is asked for.
    pub(crate) language: Language,
}

/// What a request comes to at the door.
pub(crate) enum Step<R> {
    /// The calls are asked.
    Ask(Command),
    /// The answer is known.
    Answer(R),
}

/// A method that is served.
pub(crate) trait Served: wire::Method<Result: JsonSchema> + JsonSchema {
    /// Whether it changes anything, so that a repeat of the same request must be known as one (`request_key`).
    const CHANGES: bool = true;

    /// Whether what it does is there when the node has ended: somebody's telephone has rung. Then repeats are known by
    /// the next run as well.
    const OUTLIVES: bool = false;

    /// Whether somebody is responsible for a call when it is done, which must be known though the connection ends meanwhile.
    const TAKES_ON: bool = false;

    /// How far a token must reach.
    const SCOPE: Scope = if Self::CHANGES { Scope::Call } else { Scope::Read };

    /// Checks the parameters.
    fn step(self, node: &Node) -> Result<Step<Self::Result>, ErrorData>;

    /// The result that `reply` means; none if the calls gave the answer to another question.
    fn result(node: &Node, reply: Reply) -> Option<Self::Result>;

    /// The resource that was made, where one was: its events are of the group that the connection has joined.
    fn made(_: &Self::Result) -> Option<&str> {
        None
    }

    /// The call that is taken on, where there is one already: it is of that group too.
    fn takes_on(&self) -> Option<&str> {
        None
    }
}

/// Something that is done for every method of the calls: registering it, describing it.
pub(crate) trait Visitor {
    /// One method.
    fn method<M: Served>(&mut self);
}

/// Every method of the calls, in the order of the documentation.
pub(crate) fn visit(visitor: &mut impl Visitor) {
    visitor.method::<wire::Construct>();
    visitor.method::<wire::Answer>();
    visitor.method::<wire::Drop>();
    visitor.method::<wire::Reject>();
    visitor.method::<wire::Redirect>();
    visitor.method::<wire::Ring>();
    visitor.method::<wire::Exists>();
    visitor.method::<wire::Nop>();
    visitor.method::<wire::Get>();
    visitor.method::<wire::List>();
    visitor.method::<wire::PlayStart>();
    visitor.method::<wire::PlayStop>();
    visitor.method::<wire::RecordStart>();
    visitor.method::<wire::RecordStop>();
    visitor.method::<wire::RecordPause>();
    visitor.method::<wire::RecordResume>();
    visitor.method::<wire::SendDtmfStart>();
    visitor.method::<wire::SendDtmfStop>();
    visitor.method::<wire::ReceiveDtmfStart>();
    visitor.method::<wire::ReceiveDtmfStop>();
    visitor.method::<wire::StopReceiveDtmfStart>();
    visitor.method::<wire::ConnectStart>();
    visitor.method::<wire::ConnectStop>();
    visitor.method::<wire::ConfEnter>();
    visitor.method::<wire::ConfExit>();
    visitor.method::<wire::DetectStart>();
    visitor.method::<wire::DetectStop>();
    visitor.method::<wire::Transfer>();
    visitor.method::<wire::TransferAccept>();
    visitor.method::<wire::TransferDecline>();
    visitor.method::<wire::TransferNotify>();
    visitor.method::<wire::SendMessage>();
    conference::visit(visitor);
    visitor.method::<wire::NodeSendMessage>();
    visitor.method::<wire::Gateways>();
}

impl Served for wire::Construct {
    const OUTLIVES: bool = true;
    const TAKES_ON: bool = true;

    fn step(self, node: &Node) -> Result<Step<wire::Constructed>, ErrorData> {
        let proxy = self.sip_proxy.as_deref().filter(|proxy| !proxy.is_empty());
        let mut headers = check::headers(self.headers)?;
        headers.extend(check::traceparent("traceparent", self.traceparent)?);
        Ok(Step::Ask(Command::Construct(Box::new(Construct {
            from_uri: check::full_uri("from_uri", &self.from_uri)?,
            to_uris: check::callees("to_uri", &self.to_uri)?,
            max_answer: check::seconds("max_answer_seconds", self.max_answer_seconds, SECONDS_MAX)?,
            max_ring: check::seconds("max_ring_seconds", self.max_ring_seconds, RING_SECONDS_MAX)?,
            user_data: check::user_data(self.user_data)?,
            codecs: check::codecs(self.codecs)?,
            proxy: proxy.map(|proxy| check::host("sip_proxy", proxy)).transpose()?,
            credentials: check::credentials(self.sip_auth_username, self.sip_auth_password)?,
            headers,
            from_name: check::name("from_name", self.from_name)?,
            parent: parent(
                node,
                (self.parent_call_res_id, self.parent_conf_res_id),
                self.ring_play_file,
                self.ring_play_mode,
            )?,
        }))))
    }

    fn result(node: &Node, reply: Reply) -> Option<wire::Constructed> {
        let Reply::Constructed { call, user_data } = reply else { return None };
        let ipsc_info = wire::IpscInfo { process_id: node.process_id, call_id: None };
        Some(wire::Constructed { res_id: node.id.res_id(call), ipsc_info, user_data })
    }

    fn made(constructed: &wire::Constructed) -> Option<&str> {
        Some(&constructed.res_id)
    }
}

/// The call or the conference that a call is dialled for, and what is heard there, which has no meaning where there is none.
fn parent(
    node: &Node,
    (call, conference): (Option<String>, Option<String>),
    file: Option<String>,
    mode: u32,
) -> Result<Option<Parent>, ErrorData> {
    let mode =
        names::ring_mode(mode).ok_or_else(|| check::invalid("ring_play_mode", "an integer of 0 to 3"))?;
    let files = file.filter(|files| !files.is_empty()).map(wire::Content::Files);
    let content = files.map(|files| content("ring_play_file", &files, node.language)).transpose()?;
    let [call, conference] = [call, conference].map(|res_id| res_id.filter(|res_id| !res_id.is_empty()));
    let of = match (call, conference) {
        (None, None) => return Ok(None),
        (Some(call), None) => check::call(node.id, "parent_call_res_id", &call)?.into(),
        (None, Some(conference)) => check::conference(node.id, "parent_conf_res_id", &conference)?.into(),
        (Some(_), Some(_)) => {
            let expected = "null where there is a parent_call_res_id";
            return Err(check::invalid("parent_conf_res_id", expected));
        }
    };
    Ok(Some(Parent { of, mode, content }))
}

impl Served for wire::Answer {
    const TAKES_ON: bool = true;

    fn step(self, node: &Node) -> Result<Step<()>, ErrorData> {
        Ok(Step::Ask(Command::Answer {
            call: check::call(node.id, "res_id", &self.res_id)?,
            max_answer: check::seconds("max_answer_seconds", self.max_answer_seconds, SECONDS_MAX)?,
            user_data: check::user_data(self.user_data)?,
            codec: self.codec.map(|name| check::codec("codec", &name)).transpose()?,
        }))
    }

    fn result(_: &Node, reply: Reply) -> Option<()> {
        reply::done(&reply)
    }

    fn takes_on(&self) -> Option<&str> {
        Some(&self.res_id)
    }
}

impl Served for wire::Drop {
    fn step(self, node: &Node) -> Result<Step<()>, ErrorData> {
        let call = check::call(node.id, "res_id", &self.res_id)?;
        let cause = check::between("cause", self.cause, CAUSE_MIN, CAUSE_MAX)?;
        Ok(Step::Ask(Command::Drop { call, cause }))
    }

    fn result(_: &Node, reply: Reply) -> Option<()> {
        reply::done(&reply)
    }
}

impl Served for wire::Reject {
    fn step(self, node: &Node) -> Result<Step<()>, ErrorData> {
        let call = check::call(node.id, "res_id", &self.res_id)?;
        let cause = check::between("cause", self.cause, CAUSE_MIN, CAUSE_MAX)?;
        Ok(Step::Ask(Command::Reject { call, cause }))
    }

    fn result(_: &Node, reply: Reply) -> Option<()> {
        reply::done(&reply)
    }
}

impl Served for wire::Redirect {
    fn step(self, node: &Node) -> Result<Step<()>, ErrorData> {
        let call = check::call(node.id, "res_id", &self.res_id)?;
        let target = check::host("redirect_uri", &self.redirect_uri)?;
        Ok(Step::Ask(Command::Redirect { call, target }))
    }

    fn result(_: &Node, reply: Reply) -> Option<()> {
        reply::done(&reply)
    }
}

impl Served for wire::Ring {
    fn step(self, node: &Node) -> Result<Step<()>, ErrorData> {
        let call = check::call(node.id, "res_id", &self.res_id)?;
        let files = self.ring_play_file.filter(|files| !files.is_empty()).map(wire::Content::Files);
        let content = files.map(|files| content("ring_play_file", &files, node.language)).transpose()?;
        Ok(Step::Ask(Command::Ring { call, content }))
    }

    fn result(_: &Node, reply: Reply) -> Option<()> {
        reply::done(&reply)
    }
}

impl Served for wire::Exists {
    const CHANGES: bool = false;

    fn step(self, node: &Node) -> Result<Step<bool>, ErrorData> {
        check::res_id("res_id", &self.res_id)?;
        // What cannot be a call does not exist.
        let call = node.id.parse_res_id(&self.res_id);
        Ok(call.map_or(Step::Answer(false), |call| Step::Ask(Command::Exists { call })))
    }

    fn result(_: &Node, reply: Reply) -> Option<bool> {
        if let Reply::Exists(exists) = reply { Some(exists) } else { None }
    }
}

impl Served for wire::Get {
    const CHANGES: bool = false;

    fn step(self, node: &Node) -> Result<Step<wire::CallInfo>, ErrorData> {
        Ok(Step::Ask(Command::Get { call: check::call(node.id, "res_id", &self.res_id)? }))
    }

    fn result(node: &Node, reply: Reply) -> Option<wire::CallInfo> {
        if let Reply::Snapshot(snapshot) = reply { Some(reply::call_info(node, *snapshot)) } else { None }
    }
}

impl Served for wire::List {
    const CHANGES: bool = false;

    fn step(self, node: &Node) -> Result<Step<Vec<String>>, ErrorData> {
        let limit = check::between("limit", self.limit, 1, PAGE_MAX)? as usize;
        let a_call = || check::invalid("after", "null, or the res_id of a call of this node");
        let after = match self.after {
            Some(res_id) => Some(node.id.parse_res_id(&res_id).ok_or_else(a_call)?),
            None => None,
        };
        let state = self.state.map(names::state_of);
        Ok(Step::Ask(Command::List { state, after, limit }))
    }

    fn result(node: &Node, reply: Reply) -> Option<Vec<String>> {
        let Reply::Page(calls) = reply else { return None };
        Some(calls.into_iter().map(|call| node.id.res_id(call)).collect())
    }
}

impl Served for wire::PlayStart {
    fn step(self, node: &Node) -> Result<Step<()>, ErrorData> {
        Ok(Step::Ask(Command::PlayStart {
            call: check::call(node.id, "res_id", &self.res_id)?,
            content: content("content", &self.content, node.language)?,
            finish_keys: check::key_set("finish_keys", &self.finish_keys)?,
            repeat: check::between("repeat", self.repeat, 0, REPEAT_MAX)?,
        }))
    }

    fn result(_: &Node, reply: Reply) -> Option<()> {
        reply::done(&reply)
    }
}

impl Served for wire::RecordStart {
    fn step(self, node: &Node) -> Result<Step<wire::Recording>, ErrorData> {
        let format = check::record_format(self.record_format)?;
        Ok(Step::Ask(Command::RecordStart {
            call: check::call(node.id, "res_id", &self.res_id)?,
            max: check::seconds("max_seconds", self.max_seconds, SECONDS_MAX)?,
            beep: self.beep,
            file: check::recording("record_file", &self.record_file, format)?,
            format,
            finish_keys: check::key_set("finish_keys", &self.finish_keys)?,
            overwrite: self.overwrite,
            trim_silence: self.trim_silence,
            mute_digits: self.mute_digits,
        }))
    }

    fn result(_: &Node, reply: Reply) -> Option<wire::Recording> {
        reply::recording(reply)
    }
}

impl Served for wire::SendDtmfStart {
    fn step(self, node: &Node) -> Result<Step<()>, ErrorData> {
        let call = check::call(node.id, "res_id", &self.res_id)?;
        let digits = check::digits("keys", &self.keys)?;
        Ok(Step::Ask(Command::SendDtmfStart { call, digits }))
    }

    fn result(_: &Node, reply: Reply) -> Option<()> {
        reply::done(&reply)
    }
}

impl Served for wire::ReceiveDtmfStart {
    fn step(self, node: &Node) -> Result<Step<()>, ErrorData> {
        let seconds = |param, value| check::seconds(param, value, KEY_SECONDS_MAX);
        let prompt = |prompt| content("play_content", &prompt, node.language);
        if self.valid_keys.is_empty() {
            return Err(check::invalid("valid_keys", "at least one key of 0-9*#A-D"));
        }
        Ok(Step::Ask(Command::ReceiveDtmfStart(Box::new(ReceiveDtmf {
            call: check::call(node.id, "res_id", &self.res_id)?,
            valid_keys: check::key_set("valid_keys", &self.valid_keys)?,
            max_keys: check::between("max_keys", self.max_keys, 1, KEYS_MAX)? as usize,
            finish_keys: check::key_set("finish_keys", &self.finish_keys)?,
            first_key_timeout: seconds("first_key_timeout", self.first_key_timeout)?,
            next_key_timeout: seconds("continues_keys_timeout", self.continues_keys_timeout)?,
            prompt: self.play_content.map(prompt).transpose()?,
            repeat: check::between("play_repeat", self.play_repeat, 0, REPEAT_MAX)?,
            break_on_key: self.if_break_on_key,
            include_finish_key: self.including_finish_key,
            flush: self.flush,
        }))))
    }

    fn result(_: &Node, reply: Reply) -> Option<()> {
        reply::done(&reply)
    }
}

impl Served for wire::ConnectStart {
    fn step(self, node: &Node) -> Result<Step<()>, ErrorData> {
        let mode = names::connect_mode(self.connect_mode);
        let extras = connection::extras(&self)?;
        Ok(Step::Ask(Command::ConnectStart {
            call: check::call(node.id, "res_id", &self.res_id)?,
            other: check::call(node.id, "call_res_id", &self.call_res_id)?,
            max: check::seconds("max_seconds", self.max_seconds, SECONDS_MAX)?,
            mode: mode.ok_or_else(|| check::invalid("connect_mode", "1, 2 or 3"))?,
            extras,
        }))
    }

    fn result(_: &Node, reply: Reply) -> Option<()> {
        reply::done(&reply)
    }
}

impl Served for wire::DetectStart {
    fn step(self, node: &Node) -> Result<Step<()>, ErrorData> {
        Ok(Step::Ask(Command::DetectStart {
            call: check::call(node.id, "res_id", &self.res_id)?,
            kinds: check::kinds("kinds", &self.kinds)?,
            max: check::seconds("max_seconds", self.max_seconds, SECONDS_MAX)?,
            country: self.country.map(|code| check::country("country", &code)).transpose()?,
        }))
    }

    fn result(_: &Node, reply: Reply) -> Option<()> {
        reply::done(&reply)
    }
}

impl Served for wire::Transfer {
    fn step(self, node: &Node) -> Result<Step<()>, ErrorData> {
        let call = check::call(node.id, "res_id", &self.res_id)?;
        let to_uri = check::full_uri("to_uri", &self.to_uri)?;
        Ok(Step::Ask(Command::Transfer { call, to_uri }))
    }

    fn result(_: &Node, reply: Reply) -> Option<()> {
        reply::done(&reply)
    }
}

impl Served for wire::TransferDecline {
    fn step(self, node: &Node) -> Result<Step<()>, ErrorData> {
        let call = check::call(node.id, "res_id", &self.res_id)?;
        let cause = check::between("cause", self.cause, CAUSE_MIN, CAUSE_MAX)?;
        Ok(Step::Ask(Command::TransferDecline { call, cause }))
    }

    fn result(_: &Node, reply: Reply) -> Option<()> {
        reply::done(&reply)
    }
}

impl Served for wire::TransferNotify {
    fn step(self, node: &Node) -> Result<Step<()>, ErrorData> {
        let call = check::call(node.id, "res_id", &self.res_id)?;
        let sip_status = check::between("sip_status", self.sip_status, STATUS_MIN, STATUS_MAX)?;
        Ok(Step::Ask(Command::TransferNotify { call, sip_status }))
    }

    fn result(_: &Node, reply: Reply) -> Option<()> {
        reply::done(&reply)
    }
}

impl Served for wire::SendMessage {
    fn step(self, node: &Node) -> Result<Step<wire::MessageSent>, ErrorData> {
        let call = check::call(node.id, "res_id", &self.res_id)?;
        let body = check::message(self.content, self.content_type)?;
        Ok(Step::Ask(Command::SendMessage { call, body }))
    }

    fn result(_: &Node, reply: Reply) -> Option<wire::MessageSent> {
        reply::message(&reply)
    }
}

impl Served for wire::NodeSendMessage {
    const OUTLIVES: bool = true;

    fn step(self, _: &Node) -> Result<Step<wire::MessageSent>, ErrorData> {
        Ok(Step::Ask(Command::SendPage(Box::new(SendPage {
            from_uri: check::full_uri("from_uri", &self.from_uri)?,
            to_uri: check::callee("to_uri", &self.to_uri)?,
            body: check::message(self.content, self.content_type)?,
        }))))
    }

    fn result(_: &Node, reply: Reply) -> Option<wire::MessageSent> {
        reply::message(&reply)
    }
}

impl Served for wire::Gateways {
    const CHANGES: bool = false;

    fn step(self, _: &Node) -> Result<Step<Vec<wire::GatewayInfo>>, ErrorData> {
        Ok(Step::Ask(Command::Gateways))
    }

    fn result(_: &Node, reply: Reply) -> Option<Vec<wire::GatewayInfo>> {
        let Reply::Gateways(gateways) = reply else { return None };
        Some(gateways.into_iter().map(reply::gateway).collect())
    }
}

/// The methods whose only parameter is the call and whose reply is only that it is done.
macro_rules! simple {
    ($($method:ident => $command:ident $({ $field:ident: $value:expr })?,)*) => {$(
        impl Served for wire::$method {
            fn step(self, node: &Node) -> Result<Step<()>, ErrorData> {
                let call = check::call(node.id, "res_id", &self.res_id)?;
                Ok(Step::Ask(Command::$command { call $(, $field: $value)? }))
            }

            fn result(_: &Node, reply: Reply) -> Option<()> {
                reply::done(&reply)
            }
        }
    )*};
}

simple! {
    Nop => Nop,
    PlayStop => PlayStop,
    RecordStop => RecordStop,
    RecordPause => RecordPause { is_paused: true },
    RecordResume => RecordPause { is_paused: false },
    SendDtmfStop => SendDtmfStop,
    ReceiveDtmfStop => ReceiveDtmfStop,
    StopReceiveDtmfStart => ReceiveDtmfStop,
    ConnectStop => ConnectStop,
    DetectStop => DetectStop,
    TransferAccept => TransferAccept,
}
