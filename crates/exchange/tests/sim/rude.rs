//! The far end that is whatever it likes: slow, silent, hanging up in the same millisecond, forking, answering what was
//! cancelled, changing the session while it is changed, deaf to ACK and BYE. Each of its calls follows a [`Script`].

use std::collections::BTreeMap;

use offhook_sip::event::Transport;

use crate::message::{CONTACT, Message, SDP, description};
use crate::wire::{OURS, RUDE, address};
use crate::world::{Happening, People, World};

/// How one call of it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Script {
    // Called, or calling.
    /// It answers, is called or calls, and hangs up some time.
    Good,
    /// It answers or calls, and from then on says nothing and hears nothing.
    Vanish,
    /// It hangs up in the millisecond of the answer.
    HangUpAtOnce,
    /// It changes the session again and again, and does not wait for the answer.
    Change,
    /// It promises to refresh the session, and does not.
    Expire,
    // Called.
    /// Nothing.
    Silent,
    /// A 100 and nothing more.
    Trying,
    /// It rings, and is deaf to CANCEL.
    RingForEver,
    /// It answers what was cancelled.
    AnswerOnCancel,
    /// Two of it ring and answer.
    Fork,
    /// It refuses, in any way.
    Refuse,
    /// Its description is none that we could speak by.
    Incomprehensible,
    /// Its messages are damaged.
    Damaged,
    // Calling.
    /// It gives up before it is answered, or in the millisecond of that.
    Cancel,
    /// It does not acknowledge the answer.
    NoAck,
    /// It hangs up without having acknowledged the answer.
    HangUpBeforeAck,
}

pub(crate) const CALLED: [Script; 13] = [
    Script::Good,
    Script::Vanish,
    Script::HangUpAtOnce,
    Script::Change,
    Script::Expire,
    Script::Silent,
    Script::Trying,
    Script::RingForEver,
    Script::AnswerOnCancel,
    Script::Fork,
    Script::Refuse,
    Script::Incomprehensible,
    Script::Damaged,
];

pub(crate) const CALLING: [Script; 9] = [
    Script::Good,
    Script::Vanish,
    Script::HangUpAtOnce,
    Script::Change,
    Script::Expire,
    Script::Cancel,
    Script::NoAck,
    Script::HangUpBeforeAck,
    Script::Incomprehensible,
];

impl Script {
    /// Whether a call of this kind is one that the far end makes, where all are of one kind.
    pub(crate) fn calls(self) -> bool {
        matches!(self, Self::Vanish | Self::Expire | Self::Cancel | Self::NoAck | Self::HangUpBeforeAck)
    }
}

/// Something that it remembers, of the call with this Call-ID.
#[derive(Clone, Debug)]
pub(crate) struct Cue {
    call_id: String,
    what: What,
}

#[derive(Clone, Debug)]
enum What {
    /// A message, unless the call has got further than this meanwhile.
    Send(String, Stage),
    Answer,
    Cancel,
    HangUp,
    Change,
    Chat,
}

/// How far a call has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Begun,
    /// A response came, or ours was acknowledged.
    Heard,
    Over,
}

/// One call of it.
#[derive(Clone, Debug)]
struct Affair {
    script: Script,
    stage: Stage,
    call_id: String,
    /// Our header and theirs in requests of ours, with their tags.
    own: String,
    theirs: String,
    /// Where our requests go.
    target: String,
    cseq: u32,
    /// The INVITE that began it: theirs, or the text of ours.
    invite: Message,
    port: u16,
}

/// All its calls, by their Call-IDs.
#[derive(Debug, Default)]
pub(crate) struct Rude {
    affairs: BTreeMap<String, Affair>,
    serial: u16,
}

impl Rude {
    fn next_port(&mut self) -> u16 {
        self.serial += 1;
        20_000 + 2 * self.serial
    }
}

impl Affair {
    /// A request of this call, in or before its dialog.
    fn request(&self, method: &str, cseq: u32, branch: &str, more: &str, body: &str) -> String {
        let Self { call_id, own, theirs, target, .. } = self;
        let kind = if body.is_empty() { "" } else { SDP };
        format!(
            "{method} {target} SIP/2.0\r\nVia: SIP/2.0/UDP {RUDE};branch=z9hG4bK{branch}\r\nMax-Forwards: 70\r\n\
             From: {own}\r\nTo: {theirs}\r\nCall-ID: {call_id}\r\nCSeq: {cseq} {method}\r\n{CONTACT}{more}{kind}\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
    }

    /// The branch of the request of this number.
    fn branch(&self, cseq: u32) -> String {
        format!("{}x{cseq}", self.call_id)
    }

    /// A new request in the dialog.
    fn ask(&mut self, method: &str, more: &str, body: &str) -> String {
        self.cseq += 1;
        self.request(method, self.cseq, &self.branch(self.cseq), more, body)
    }

    fn description(&self) -> String {
        if self.script == Script::Incomprehensible {
            return description(10, self.port).replace("RTP/AVP 8 0 101", "RTP/AVP 18");
        }
        description(10, self.port)
    }

    /// What it says of session timers.
    fn timer(&self, is_calling: bool) -> &'static str {
        match (self.script, is_calling) {
            (Script::Expire, true) => "Supported: timer\r\nSession-Expires: 90;refresher=uac\r\n",
            (Script::Expire, false) => "Require: timer\r\nSession-Expires: 90;refresher=uas\r\n",
            _ => "",
        }
    }
}

impl World {
    fn say(&mut self, text: &str) {
        self.send_sip(Transport::Udp, RUDE, OURS, text.as_bytes());
    }

    fn remember(&mut self, within: u64, call_id: &str, what: What) {
        self.soon(within, Happening::Rude(Cue { call_id: call_id.to_owned(), what }));
    }

    /// Says something several times, as long as the call gets no further.
    fn say_until(&mut self, call_id: &str, text: &str, stage: Stage) {
        self.say(text);
        for delay in [500, 1_500, 3_500, 7_500] {
            let what = What::Send(text.to_owned(), stage);
            self.later(delay, Happening::Rude(Cue { call_id: call_id.to_owned(), what }));
        }
    }

    /// It calls us.
    pub(crate) fn rude_calls(&mut self) {
        let script = match self.setting.people {
            People::Waiting(script) => script,
            _ => *self.rng.choice(&CALLING).expect("some"),
        };
        self.checks.saw(format!("calls us: {script:?}"));
        let port = self.rude.next_port();
        let call_id = format!("rude{port}");
        let mut affair = Affair {
            script,
            stage: Stage::Begun,
            call_id: call_id.clone(),
            own: format!("<sip:rude@{}>;tag=r{port}", RUDE.ip()),
            theirs: format!("<sip:4000@{}>", OURS.ip()),
            target: format!("sip:4000@{OURS}"),
            cseq: 0,
            invite: Message(String::new()),
            port,
        };
        let has_offer = self.setting.people != People::Anything || self.chance(90);
        let body = if has_offer { affair.description() } else { String::new() };
        let timer = affair.timer(true);
        let invite = affair.ask("INVITE", timer, &body);
        affair.invite = Message(invite.clone());
        self.rude.affairs.insert(call_id.clone(), affair);
        self.say_until(&call_id, &invite, Stage::Begun);
        if script == Script::Cancel {
            self.remember(8_000, &call_id, What::Cancel);
        }
    }

    pub(crate) fn rude_hears(&mut self, bytes: &[u8]) {
        let message = Message(String::from_utf8_lossy(bytes).into_owned());
        let call_id = message.header("Call-ID").to_owned();
        match (message.status(), self.rude.affairs.get(&call_id).cloned()) {
            (Some(status), Some(affair)) => self.rude_is_answered(affair, &message, status),
            (None, Some(affair)) => self.rude_is_asked(affair, message),
            (None, None) if message.method() == "INVITE" => self.rude_is_called(message),
            (None, None) if message.method() != "ACK" => {
                self.say(&message.response("481 Call Does Not Exist", "none", "", ""));
            }
            _ => {}
        }
    }

    fn rude_is_called(&mut self, invite: Message) {
        let script = match self.setting.people {
            People::Waiting(script) => script,
            _ => *self.rng.choice(&CALLED).expect("some"),
        };
        self.checks.saw(format!("is called: {script:?}"));
        let port = self.rude.next_port();
        let call_id = invite.header("Call-ID").to_owned();
        let affair = Affair {
            script,
            stage: Stage::Begun,
            call_id: call_id.clone(),
            own: format!("{};tag=r{port}", invite.header("To")),
            theirs: invite.header("From").to_owned(),
            target: invite.contact().unwrap_or("sip:nobody@192.0.2.1").to_owned(),
            cseq: 0,
            invite: invite.clone(),
            port,
        };
        let tag = format!("r{port}");
        self.may_speak(address(10, port), invite.body());
        self.rude.affairs.insert(call_id.clone(), affair);
        match script {
            Script::Silent => {}
            Script::Trying => self.say(&invite.response("100 Trying", "", "", "")),
            Script::RingForEver | Script::AnswerOnCancel => {
                self.say_until(&call_id, &invite.response("180 Ringing", &tag, "", ""), Stage::Begun);
            }
            Script::Refuse => {
                let status =
                    *self.rng.choice(&["404 No", "486 Busy", "503 No", "603 No", "302 Moved"]).expect("five");
                self.say_until(&call_id, &invite.response(status, &tag, "", ""), Stage::Begun);
            }
            _ => {
                if self.chance(70) {
                    let status = if self.chance(80) { "180 Ringing" } else { "183 Progress" };
                    self.say(&invite.response(status, &tag, "", ""));
                }
                if script == Script::Fork {
                    self.say(&invite.response("180 Ringing", "other", "", ""));
                }
                self.remember(6_000, &call_id, What::Answer);
            }
        }
    }

    /// A response to something of its own.
    fn rude_is_answered(&mut self, mut affair: Affair, response: &Message, status: u16) {
        let (method, call_id) = (response.method().to_owned(), affair.call_id.clone());
        if affair.stage == Stage::Begun && method == "INVITE" {
            affair.stage = Stage::Heard;
        }
        if method != "INVITE" || status < 200 {
            self.rude.affairs.insert(call_id, affair);
            return;
        }
        let is_first = response.number() == 1 && affair.target.starts_with("sip:4000@");
        if status >= 300 {
            let ack = affair.request("ACK", response.number(), &affair.branch(response.number()), "", "");
            self.say(&ack);
            if is_first {
                affair.stage = Stage::Over;
            }
            self.rude.affairs.insert(call_id, affair);
            return;
        }
        affair.theirs = response.header("To").to_owned();
        affair.target = response.contact().unwrap_or(&affair.target).to_owned();
        let body = if affair.invite.body().is_empty() { affair.description() } else { String::new() };
        let ack = affair.request("ACK", response.number(), &format!("{}ack", affair.branch(1)), "", &body);
        let (script, port) = (affair.script, affair.port);
        if script == Script::HangUpBeforeAck && is_first {
            let bye = affair.ask("BYE", "", "");
            self.say(&bye);
        }
        self.rude.affairs.insert(call_id.clone(), affair);
        if script != Script::NoAck {
            self.say(&ack);
        }
        if is_first {
            self.may_speak(address(10, port), response.body());
            self.rude_talks(script, &call_id);
        }
    }

    /// The call is answered, whoever called.
    fn rude_talks(&mut self, script: Script, call_id: &str) {
        match script {
            Script::Vanish | Script::Expire | Script::NoAck => {}
            Script::HangUpAtOnce => {
                self.later(0, Happening::Rude(Cue { call_id: call_id.to_owned(), what: What::HangUp }))
            }
            _ => {
                if script == Script::Change {
                    for _ in 0..4 {
                        self.remember(3_000, call_id, What::Change);
                    }
                }
                for _ in 0..self.rng.u8(..3) {
                    self.remember(20_000, call_id, What::Chat);
                }
                self.remember(40_000, call_id, What::HangUp);
            }
        }
    }

    /// A request in one of its calls, or the INVITE of one once more.
    fn rude_is_asked(&mut self, mut affair: Affair, request: Message) {
        let (call_id, method, tag) =
            (affair.call_id.clone(), request.method().to_owned(), format!("r{}", affair.port));
        let is_deaf =
            matches!(affair.script, Script::Vanish | Script::Silent | Script::Trying | Script::RingForEver);
        let is_of_a_dialog = request.has_to_tag();
        match method.as_str() {
            "ACK" => affair.stage = affair.stage.max(Stage::Heard),
            _ if is_deaf => {}
            "CANCEL" if affair.script == Script::AnswerOnCancel => {
                self.say(&request.response("200 OK", &tag, "", ""));
                self.remember(500, &call_id, What::Answer);
            }
            "CANCEL" => {
                self.say(&request.response("200 OK", &tag, "", ""));
                if affair.stage == Stage::Begun {
                    let refusal = affair.invite.response("487 Request Terminated", &tag, "", "");
                    self.say_until(&call_id, &refusal, Stage::Begun);
                }
            }
            "BYE" => {
                affair.stage = Stage::Over;
                self.voices.remove(&address(10, affair.port));
                let status = if self.chance(90) { "200 OK" } else { "481 Gone" };
                self.say(&request.response(status, &tag, "", ""));
            }
            "INVITE" | "UPDATE" if is_of_a_dialog => {
                let status =
                    *self.rng.choice(&["200 OK", "200 OK", "491 Request Pending", "488 No"]).expect("four");
                let body = if status == "200 OK" && !request.body().is_empty() {
                    affair.description()
                } else {
                    String::new()
                };
                self.say(&request.response(status, &tag, "", &body));
            }
            // The first one again: its answer is on its way, or not.
            "INVITE" => {}
            "REFER" => {
                let status = *self.rng.choice(&["202 Accepted", "603 No", "202 Accepted"]).expect("three");
                self.say(&request.response(status, &tag, "", ""));
                if status == "202 Accepted" && self.rng.bool() {
                    let more = "Event: refer\r\nSubscription-State: terminated;reason=noresource\r\nContent-Type: message/sipfrag\r\n";
                    let notify = affair
                        .ask("NOTIFY", more, "")
                        .replace("Content-Length: 0\r\n\r\n", "Content-Length: 16\r\n\r\nSIP/2.0 200 OK\r\n");
                    self.say(&notify);
                }
            }
            _ => {
                let status =
                    *self.rng.choice(&["200 OK", "200 OK", "415 No", "481 Gone", "500 No"]).expect("five");
                self.say(&request.response(status, &tag, "", ""));
            }
        }
        self.rude.affairs.insert(call_id, affair);
    }

    pub(crate) fn cue(&mut self, cue: Cue) {
        let Cue { call_id, what } = cue;
        let Some(mut affair) = self.rude.affairs.get(&call_id).cloned() else { return };
        match what {
            What::Send(text, stage) => {
                if affair.stage <= stage {
                    self.say(&text);
                }
            }
            What::Answer => self.rude_answers(&affair),
            What::Cancel => {
                let cancel = affair.request("CANCEL", 1, &affair.branch(1), "", "");
                self.say_until(&call_id, &cancel, Stage::Heard);
            }
            What::HangUp if affair.stage != Stage::Over => {
                let bye = affair.ask("BYE", "", "");
                affair.stage = Stage::Over;
                self.voices.remove(&address(10, affair.port));
                self.rude.affairs.insert(call_id.clone(), affair);
                self.say_until(&call_id, &bye, Stage::Over);
            }
            What::Change if affair.stage != Stage::Over => {
                let method = *self.rng.choice(&["INVITE", "INVITE", "UPDATE"]).expect("three");
                let body =
                    if method == "INVITE" && self.chance(10) { String::new() } else { affair.description() };
                let held = if self.chance(20) { "a=sendonly\r\n" } else { "" };
                let body = if body.is_empty() { body } else { format!("{body}{held}") };
                let change = affair.ask(method, "", &body);
                self.rude.affairs.insert(call_id, affair);
                self.say(&change);
            }
            What::Chat if affair.stage != Stage::Over => {
                let text = self.chat(&mut affair);
                self.rude.affairs.insert(call_id, affair);
                self.say(&text);
            }
            What::HangUp | What::Change | What::Chat => {}
        }
    }

    fn rude_answers(&mut self, affair: &Affair) {
        let (script, call_id, port) = (affair.script, affair.call_id.clone(), affair.port);
        let mut answer =
            affair.invite.response("200 OK", &format!("r{port}"), affair.timer(false), &affair.description());
        if script == Script::Damaged {
            let mut bytes = answer.into_bytes();
            for _ in 0..3 {
                let at = self.rng.usize(..bytes.len());
                bytes[at] = self.rng.u8(32..127);
            }
            answer = String::from_utf8(bytes).expect("ASCII");
        }
        self.say_until(&call_id, &answer, Stage::Begun);
        if script == Script::Fork {
            self.say(&affair.invite.response("200 OK", "other", "", &affair.description()));
        }
        self.rude_talks(script, &call_id);
    }

    /// Something said in a call.
    fn chat(&mut self, affair: &mut Affair) -> String {
        match self.rng.u8(..7) {
            0 | 1 => affair
                .ask("INFO", "Content-Type: application/dtmf-relay\r\n", "")
                .replace("Content-Length: 0\r\n\r\n", "Content-Length: 10\r\n\r\nSignal=1\r\n"),
            2 => affair
                .ask("MESSAGE", "Content-Type: text/plain\r\n", "")
                .replace("Content-Length: 0\r\n\r\n", "Content-Length: 5\r\n\r\nhello"),
            3 => affair.ask("REFER", "Refer-To: <sip:500@192.0.2.50>\r\n", ""),
            4 => affair.ask("OPTIONS", "", ""),
            // Of somebody else, who has not the right tag.
            5 => {
                let stranger =
                    Affair { theirs: "<sip:4000@192.0.2.1>;tag=guessed".to_owned(), ..affair.clone() };
                stranger.request("BYE", 900, "stranger", "", "")
            }
            _ => affair.ask("PUBLISH", "", ""),
        }
    }
}
