//! The methods of `sys.conf`, and those of a call that is in a conference.

use offhook_call::Reply;
use offhook_call::command::{Command, ConfEnter, Content};
use offhook_call::conference::{Command as Ask, Construct, Part, RecordFile, Snapshot};
use offhook_call::id::{ConferenceId, NodeId};
use offhook_client::wire::limits::{CAUSE_MAX, CAUSE_MIN, PAGE_MAX, SECONDS_MAX};
use offhook_client::wire::{self, ErrorData};
use offhook_media::event::VoiceMode;

use super::content::content;
use super::method::{Node, Served, Step, Visitor};
use super::{check, names, reply};

/// Every method of conferences, in the order of the documentation.
pub(super) fn visit(visitor: &mut impl Visitor) {
    visitor.method::<wire::ConfConstruct>();
    visitor.method::<wire::ConfRelease>();
    visitor.method::<wire::ConfExists>();
    visitor.method::<wire::ConfNop>();
    visitor.method::<wire::ConfGet>();
    visitor.method::<wire::ConfList>();
    visitor.method::<wire::GetParts>();
    visitor.method::<wire::SetPartVoiceMode>();
    visitor.method::<wire::SetPartVolume>();
    visitor.method::<wire::SetPartsThreshold>();
    visitor.method::<wire::Kick>();
    visitor.method::<wire::ConfPlayStart>();
    visitor.method::<wire::ConfPlayStop>();
    visitor.method::<wire::ConfRecordStart>();
    visitor.method::<wire::ConfRecordStop>();
}

impl Served for wire::ConfConstruct {
    fn step(self, node: &Node) -> Result<Step<wire::ConferenceConstructed>, ErrorData> {
        check::record_format(self.record_format)?;
        let record = self.record_file.filter(|name| !name.is_empty());
        if self.node.is_some_and(|name| !name.is_empty() && name != node.id.to_string()) {
            return Err(check::invalid("node", format!("null or {}", node.id)));
        }
        Ok(Step::Ask(Command::ConferenceConstruct(Box::new(Construct {
            max: check::seconds("max_seconds", self.max_seconds, SECONDS_MAX)?,
            threshold: check::threshold("parts_threshold", self.parts_threshold)?,
            user_data: check::user_data(self.user_data)?,
            background: prompt(node, "bg_file", self.bg_file)?,
            record: record.map(|name| record_file(&name, self.record_format)).transpose()?,
        }))))
    }

    fn result(node: &Node, reply: Reply) -> Option<wire::ConferenceConstructed> {
        let Reply::ConferenceConstructed(conference) = reply else { return None };
        Some(wire::ConferenceConstructed { res_id: node.id.conf_res_id(conference) })
    }

    fn made(constructed: &wire::ConferenceConstructed) -> Option<&str> {
        Some(&constructed.res_id)
    }
}

impl Served for wire::ConfExists {
    const CHANGES: bool = false;

    fn step(self, node: &Node) -> Result<Step<bool>, ErrorData> {
        check::res_id("res_id", &self.res_id)?;
        // What cannot be a conference does not exist.
        let conference = node.id.parse_conf_res_id(&self.res_id);
        Ok(conference.map_or(Step::Answer(false), |conference| Step::Ask(ask(conference, Ask::Exists))))
    }

    fn result(_: &Node, reply: Reply) -> Option<bool> {
        if let Reply::Exists(exists) = reply { Some(exists) } else { None }
    }
}

impl Served for wire::ConfGet {
    const CHANGES: bool = false;

    fn step(self, node: &Node) -> Result<Step<wire::ConferenceInfo>, ErrorData> {
        Ok(Step::Ask(ask(check::conference(node.id, "res_id", &self.res_id)?, Ask::Get)))
    }

    fn result(node: &Node, reply: Reply) -> Option<wire::ConferenceInfo> {
        if let Reply::Conference(snapshot) = reply { Some(info(node.id, *snapshot)) } else { None }
    }
}

impl Served for wire::ConfList {
    const CHANGES: bool = false;

    fn step(self, node: &Node) -> Result<Step<Vec<String>>, ErrorData> {
        let limit = check::between("limit", self.limit, 1, PAGE_MAX)? as usize;
        let a_conference = || check::invalid("after", "null, or the res_id of a conference of this node");
        let after = match self.after {
            Some(res_id) => Some(node.id.parse_conf_res_id(&res_id).ok_or_else(a_conference)?),
            None => None,
        };
        Ok(Step::Ask(Command::ConferenceList { after, limit }))
    }

    fn result(node: &Node, reply: Reply) -> Option<Vec<String>> {
        let Reply::Conferences(conferences) = reply else { return None };
        Some(conferences.into_iter().map(|conference| node.id.conf_res_id(conference)).collect())
    }
}

impl Served for wire::GetParts {
    const CHANGES: bool = false;

    fn step(self, node: &Node) -> Result<Step<Vec<wire::PartInfo>>, ErrorData> {
        Ok(Step::Ask(ask(check::conference(node.id, "res_id", &self.res_id)?, Ask::GetParts)))
    }

    fn result(node: &Node, reply: Reply) -> Option<Vec<wire::PartInfo>> {
        let Reply::Parts(parts) = reply else { return None };
        Some(parts.into_iter().map(|member| part(node.id, member)).collect())
    }
}

/// The methods of a conference whose reply is only that it is done.
macro_rules! done {
    ($($method:ident => |$params:ident, $node:ident| $ask:expr;)*) => {$(
        impl Served for wire::$method {
            fn step(self, node: &Node) -> Result<Step<()>, ErrorData> {
                let ($params, $node) = (self, node.id);
                let conference = check::conference($node, "res_id", &$params.res_id)?;
                Ok(Step::Ask(ask(conference, $ask)))
            }

            fn result(_: &Node, reply: Reply) -> Option<()> {
                reply::done(&reply)
            }
        }
    )*};
}

done! {
    ConfRelease => |params, node| Ask::Release;
    ConfNop => |params, node| Ask::Nop;
    ConfPlayStop => |params, node| Ask::PlayStop;
    ConfRecordStop => |params, node| Ask::RecordStop;
    SetPartVoiceMode => |params, node| Ask::SetVoiceMode {
        call: check::call(node, "call_res_id", &params.call_res_id)?,
        mode: voice_mode("mode", params.mode)?,
    };
    SetPartVolume => |params, node| Ask::SetVolume {
        call: check::call(node, "call_res_id", &params.call_res_id)?,
        volume: check::decibels("volume", params.volume)?,
    };
    SetPartsThreshold => |params, node| Ask::SetThreshold {
        value: check::threshold("value", params.value)?,
    };
    Kick => |params, node| Ask::Kick {
        call: check::call(node, "call_res_id", &params.call_res_id)?,
        cause: check::between("cause", params.cause, CAUSE_MIN, CAUSE_MAX)?,
    };
}

impl Served for wire::ConfEnter {
    fn step(self, node: &Node) -> Result<Step<()>, ErrorData> {
        Ok(Step::Ask(Command::ConfEnter(Box::new(ConfEnter {
            call: check::call(node.id, "res_id", &self.res_id)?,
            conference: check::conference(node.id, "conf_res_id", &self.conf_res_id)?,
            max: check::seconds("max_seconds", self.max_seconds, SECONDS_MAX)?,
            mode: voice_mode("voice_mode", self.voice_mode)?,
            volume: check::decibels("volume", self.volume)?,
            welcome: prompt(node, "play_file", self.play_file)?,
        }))))
    }

    fn result(_: &Node, reply: Reply) -> Option<()> {
        reply::done(&reply)
    }
}

impl Served for wire::ConfExit {
    fn step(self, node: &Node) -> Result<Step<()>, ErrorData> {
        let call = check::call(node.id, "res_id", &self.res_id)?;
        let conference = check::conference(node.id, "conf_res_id", &self.conf_res_id)?;
        Ok(Step::Ask(Command::ConfExit { call, conference }))
    }

    fn result(_: &Node, reply: Reply) -> Option<()> {
        reply::done(&reply)
    }
}

impl Served for wire::ConfPlayStart {
    fn step(self, node: &Node) -> Result<Step<()>, ErrorData> {
        let conference = check::conference(node.id, "res_id", &self.res_id)?;
        let content = content("content", &self.content, node.language)?;
        Ok(Step::Ask(ask(conference, Ask::PlayStart { content, is_loop: self.is_loop })))
    }

    fn result(_: &Node, reply: Reply) -> Option<()> {
        reply::done(&reply)
    }
}

impl Served for wire::ConfRecordStart {
    fn step(self, node: &Node) -> Result<Step<wire::Recording>, ErrorData> {
        let conference = check::conference(node.id, "res_id", &self.res_id)?;
        let record = record_file(&self.record_file, self.record_format)?;
        let max = check::seconds("max_seconds", self.max_seconds, SECONDS_MAX)?;
        Ok(Step::Ask(ask(conference, Ask::RecordStart { record, max })))
    }

    fn result(_: &Node, reply: Reply) -> Option<wire::Recording> {
        reply::recording(reply)
    }
}

/// A file or several; none for null and for nothing.
fn prompt(node: &Node, param: &str, files: Option<String>) -> Result<Option<Content>, ErrorData> {
    let files = files.filter(|files| !files.is_empty()).map(wire::Content::Files);
    files.map(|files| content(param, &files, node.language)).transpose()
}

fn record_file(name: &str, format: u32) -> Result<RecordFile, ErrorData> {
    let format = check::record_format(format)?;
    Ok(RecordFile { file: check::recording("record_file", name, format)?, format })
}

fn ask(conference: ConferenceId, command: Ask) -> Command {
    Command::Conference { conference, command }
}

fn voice_mode(param: &str, number: u32) -> Result<VoiceMode, ErrorData> {
    names::voice_mode(number).ok_or_else(|| check::invalid(param, "an integer of 1 to 4"))
}

pub(super) fn info(node: NodeId, snapshot: Snapshot) -> wire::ConferenceInfo {
    wire::ConferenceInfo {
        res_id: node.conf_res_id(snapshot.conference),
        begin_time: snapshot.begin.0.div_euclid(1000),
        parts: snapshot.parts as u64,
        parts_threshold: snapshot.threshold,
        playing: snapshot.is_playing,
        record_file: snapshot.record_file,
        user_data: snapshot.user_data,
    }
}

pub(super) fn part(node: NodeId, part: Part) -> wire::PartInfo {
    wire::PartInfo {
        res_id: node.res_id(part.call),
        voice_mode: names::number_of_voice_mode(part.mode),
        volume: part.volume.into(),
        talking: part.talking,
        user_data: part.user_data,
    }
}
