//! The whole vocabulary of the engine: what may be asked of it ([`Command`]) and what it tells ([`Event`]).
//!
//! A leg is one party's RTP stream in both directions. An action (a prompt, a recording, digits to send) is begun by a
//! command that carries an [`ActionId`] and ends with exactly one event that carries the same: by itself, by its stop
//! command, or because the leg is removed. A command for a leg or an action that is gone is ignored: it raced with an end.

mod alarm;
mod connection;
mod room;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

pub use crate::codec::Codec;
pub use crate::detect::amd::{Answerer, Reason};
pub use crate::detect::vad::TalkEvent;
pub use crate::detect::{Detected, Kind, Kinds};
pub use crate::dtmf::{Key, KeySet};
pub use crate::file::{Prompt, PromptWriter, RecordFormat, RecordSpec};
pub use crate::gain::Gain;
pub use crate::mixer::{Voice, VoiceMode};
pub use crate::progress::Country;
pub use crate::sdp::Negotiated;
pub use alarm::{Alarms, Trouble};
pub use connection::{ConnectMode, Volumes};
pub use room::{MAX_PLAYS, RoomCommand, RoomEvent, RoomId};

/// One party's media. Chosen by whoever adds the leg, never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LegId(pub u64);

/// One prompt, recording or digit string on a leg. Chosen by whoever begins it, never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ActionId(pub u64);

/// One open recording file, named by whoever opened it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordingId(pub u64);

/// How a leg's media is set up, once offer and answer are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LegConfig {
    /// What the two sides agreed on.
    pub media: Negotiated,
    /// Whether in-band tones are searched for digits in what arrives.
    pub detect_tones: bool,
    /// After how long without a packet a peer that is bound to send is [`Event::Silent`]; none: never.
    pub silent_after: Option<Duration>,
    /// How much media is sent to an address that nothing has come from since it was named; none: any amount.
    pub unheard_limit: Option<Duration>,
    /// Whether the peer may turn out to be at another address than it named (symmetric RTP): [`Event::PeerFound`].
    pub symmetric: bool,
    /// What the peer hears while there is nothing for it to hear.
    pub idle: Idle,
    /// What is told of a stream that flows badly.
    pub alarms: Alarms,
}

impl LegConfig {
    /// Nothing but media: no tones, no time limits, no other address than the one that was named, no packets without a
    /// reason.
    pub fn new(media: Negotiated) -> Self {
        Self {
            media,
            detect_tones: false,
            silent_after: None,
            unheard_limit: None,
            symmetric: false,
            idle: Idle::default(),
            alarms: Alarms::default(),
        }
    }
}

/// What a peer hears while nothing is said or played to it, and no other leg is there for it to hear.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Idle {
    /// Nothing: no packets.
    #[default]
    Nothing,
    /// Silence, in packets of audio. They keep the ways through NATs open, and peers from giving us up.
    Silence,
    /// A description of the noise of a quiet line (RFC 3389), when it begins and each second, where both sides have agreed
    /// on comfort noise; silence elsewhere. It does the same for a fiftieth of the packets.
    ComfortNoise,
}

/// How digits are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DigitSource {
    /// Telephone-events (RFC 4733).
    Rfc4733,
    /// Tones in the audio.
    Inband,
    /// SIP INFO; never made by the engine, but a digit heard this way is told to it so that it counts once.
    Info,
}

/// One element of a digit string to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dial {
    /// A key press of 100 ms, followed by 100 ms of rest.
    Key(Key),
    /// Half a second of rest (`,`).
    Pause,
}

/// What may be asked of the engine.
#[derive(Clone, Debug)]
pub enum Command {
    /// Begin a leg. Its sockets are the driver's business; the engine names it in what it sends.
    AddLeg {
        /// Its name.
        leg: LegId,
        /// What was negotiated.
        config: LegConfig,
    },
    /// The negotiation changed: another address, codec, payload type, packet time or direction. A running action goes
    /// on in what holds now. While the peer does not want to hear us (hold) nothing is sent, and prompts and digits go
    /// on unheard: they end when they would have ended. What arrives in the payload types of before is still taken.
    UpdateLeg {
        /// Which leg.
        leg: LegId,
        /// What holds now.
        config: LegConfig,
    },
    /// End a leg. It leaves its room, its actions end, each with its event; then [`Event::LegRemoved`]. A connection it was
    /// in ends.
    RemoveLeg {
        /// Which leg.
        leg: LegId,
    },
    /// Play prompts one after the other without a gap, `1 + repeat` times, to the far end.
    Play {
        /// Which leg.
        leg: LegId,
        /// The action that begins.
        action: ActionId,
        /// What to play, in the leg's codec ([`Prompt::codec`]); what is in another is converted on the way.
        prompts: Vec<Arc<Prompt>>,
        /// How many times more than once.
        repeat: u32,
    },
    /// End a prompt: [`Event::PlayEnded`].
    StopPlay {
        /// Which leg.
        leg: LegId,
        /// Which action.
        action: ActionId,
    },
    /// End a prompt with the first that is heard of another party to which its leg is connected, then or later:
    /// [`Event::PlayEnded`]. Until then it is heard instead of that party's silence.
    YieldPlay {
        /// Which leg.
        leg: LegId,
        /// Which action.
        action: ActionId,
    },
    /// Record what the far end says.
    Record {
        /// Which leg.
        leg: LegId,
        /// The action that begins.
        action: ActionId,
        /// The open file that the audio goes to.
        recording: RecordingId,
        /// Whether the far end first hears a beep, which is not in the file.
        beep: bool,
        /// The longest recording. What is trimmed off counts, a pause does not.
        max: Duration,
        /// Whether quiet before the first sound and after the last is left out.
        trim_silence: bool,
        /// Whether the keys that the far end presses are silence in the file.
        mute_digits: bool,
        /// The keys that may end it. From the beginning of one nothing is handed out until it is known whether it does.
        finish_keys: KeySet,
        /// What the file is.
        format: RecordFormat,
    },
    /// Stop a recording for a while, or go on with it. What is heard meanwhile is not in the file, and takes no time in it.
    PauseRecord {
        /// Which leg.
        leg: LegId,
        /// Which action.
        action: ActionId,
        /// Whether it pauses from now on.
        is_paused: bool,
    },
    /// End a recording: [`Event::RecordEnded`].
    StopRecord {
        /// Which leg.
        leg: LegId,
        /// Which action.
        action: ActionId,
        /// Whether a finish key ends it: where that began, if it came as a telephone-event or a tone.
        by_key: bool,
    },
    /// Send digits to the far end, by telephone-events where they are negotiated, else by tones.
    SendDigits {
        /// Which leg.
        leg: LegId,
        /// The action that begins.
        action: ActionId,
        /// What to send.
        digits: Vec<Dial>,
    },
    /// End the sending after the key that is on its way: [`Event::DigitsSent`].
    StopDigits {
        /// Which leg.
        leg: LegId,
        /// Which action.
        action: ActionId,
    },
    /// Let two legs of this engine hear each other until [`Command::Disconnect`] or the removal of one. Either leaves the
    /// room or the connection that it is in.
    Connect {
        /// The first party.
        first: LegId,
        /// The second party.
        second: LegId,
        /// Who hears whom.
        mode: ConnectMode,
        /// Whether the keys of each are kept from the other: neither their tones nor telephone-events pass, and the rest is
        /// 40 ms later. They are told as ever.
        mute_digits: bool,
    },
    /// Change how loud the parties of a connection hear each other. At first each hears what the other says, and where the
    /// codecs are equal it is passed on packet by packet, as long as no volume is changed and nothing recorded or played.
    SetVolumes {
        /// The first party.
        first: LegId,
        /// The second party.
        second: LegId,
        /// How loud.
        volumes: Volumes,
    },
    /// Record what both parties of a connection say, each as loud as it says it, and what is played to both. It is an action
    /// of the first party: ended by [`Command::StopRecord`] or with the connection, by [`Event::RecordEnded`] either way. One
    /// that runs ends.
    RecordConnection {
        /// The first party.
        first: LegId,
        /// The second party.
        second: LegId,
        /// The action that begins.
        action: ActionId,
        /// The open file that the audio goes to.
        recording: RecordingId,
        /// Whether the first party is left and the second right; both are in one channel otherwise.
        is_stereo: bool,
        /// The longest recording.
        max: Duration,
    },
    /// Play prompts to both parties of a connection, over their talk, one after the other without a gap, `1 + repeat` times.
    /// It is an action of the first party: ended by [`Command::StopPlay`], with the connection or by itself, by
    /// [`Event::PlayEnded`] in each case. One that runs ends.
    PlayConnection {
        /// The first party.
        first: LegId,
        /// The second party.
        second: LegId,
        /// The action that begins.
        action: ActionId,
        /// What to play, in any codec.
        prompts: Vec<Arc<Prompt>>,
        /// How many times more than once.
        repeat: u32,
    },
    /// End a connection, its recording and prompts first.
    Disconnect {
        /// The first party.
        first: LegId,
        /// The second party.
        second: LegId,
    },
    /// Listen for other things than digits in what arrives, instead of what was listened for before: [`Event::Detected`]
    /// for each, until the next such command or the removal of the leg.
    Detect {
        /// Which leg.
        leg: LegId,
        /// For what; for nothing any more, if it is empty.
        kinds: Kinds,
        /// Whose call-progress tones are expected first.
        country: Option<Country>,
    },
    /// A digit came by SIP INFO. It comes back as [`Event::Digit`] unless the same key press was heard in the media.
    InfoDigit {
        /// Which leg.
        leg: LegId,
        /// Which key.
        key: Key,
        /// How long it was pressed, as the INFO says.
        duration: Duration,
    },
    /// A room, in which any number of legs of this engine hear each other.
    Room {
        /// Which room.
        room: RoomId,
        /// What it shall do.
        command: RoomCommand,
    },
}

impl Command {
    /// The leg it is for; of a connection, the first party; of what a room shall do, the member it is about.
    pub fn leg(&self) -> Option<LegId> {
        match self {
            Self::Room { command, .. } => command.leg(),
            Self::AddLeg { leg, .. }
            | Self::UpdateLeg { leg, .. }
            | Self::RemoveLeg { leg }
            | Self::Play { leg, .. }
            | Self::StopPlay { leg, .. }
            | Self::YieldPlay { leg, .. }
            | Self::Record { leg, .. }
            | Self::PauseRecord { leg, .. }
            | Self::StopRecord { leg, .. }
            | Self::SendDigits { leg, .. }
            | Self::StopDigits { leg, .. }
            | Self::Detect { leg, .. }
            | Self::InfoDigit { leg, .. }
            | Self::Connect { first: leg, .. }
            | Self::SetVolumes { first: leg, .. }
            | Self::RecordConnection { first: leg, .. }
            | Self::PlayConnection { first: leg, .. }
            | Self::Disconnect { first: leg, .. } => Some(*leg),
        }
    }

    /// The room it is for.
    pub fn room(&self) -> Option<RoomId> {
        match self {
            Self::Room { room, .. } => Some(*room),
            _ => None,
        }
    }

    /// The second party of a connection.
    pub fn second(&self) -> Option<LegId> {
        match self {
            Self::Connect { second, .. }
            | Self::SetVolumes { second, .. }
            | Self::RecordConnection { second, .. }
            | Self::PlayConnection { second, .. }
            | Self::Disconnect { second, .. } => Some(*second),
            _ => None,
        }
    }
}

/// Why a recording ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordEnd {
    /// [`Command::StopRecord`].
    Stopped,
    /// The longest duration was reached.
    MaxDuration,
    /// The leg was removed.
    LegRemoved,
    /// The room was closed.
    RoomClosed,
    /// The connection is over.
    Disconnected,
}

/// What a leg has sent and received (RFC 3550 §6.4).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LegStats {
    /// RTP packets sent.
    pub packets_sent: u64,
    /// RTP payload bytes sent.
    pub bytes_sent: u64,
    /// RTP packets received and accepted.
    pub packets_received: u64,
    /// RTP payload bytes received.
    pub bytes_received: u64,
    /// Packets that never came, by sequence number; what came twice makes up for none.
    pub packets_lost: i64,
    /// Packets that came too late to be played, duplicates included.
    pub packets_late: u64,
    /// Packets refused: malformed, there before (SRTP), or of a payload type that was not negotiated.
    pub packets_refused: u64,
    /// Packets refused because they are not protected with the peer's key (SRTP): forged, damaged, or in the clear.
    pub packets_not_authentic: u64,
    /// Interarrival jitter in milliseconds (RFC 3550 A.8).
    pub jitter_ms: f64,
    /// Round trip in milliseconds by RTCP, once both ends have reported.
    pub round_trip_ms: Option<f64>,
    /// What the peer's last report says it lost of our packets.
    pub remote_lost: Option<i64>,
    /// Milliseconds that were made up for packets that were lost or late, where somebody listened here.
    pub concealed_ms: u64,
    /// An estimate of the mean opinion score of what arrives (ITU-T G.107), 1 to 4.41, once something has.
    pub mos: Option<f64>,
}

/// What the engine tells.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A key press, told once at its end (RFC 4733: end bit or time-out; tone: its end), whichever ways it came.
    Digit {
        /// Which leg.
        leg: LegId,
        /// Which key.
        key: Key,
        /// How it was first heard.
        source: DigitSource,
        /// How long it was pressed.
        duration: Duration,
    },
    /// Something was heard that was asked for by [`Command::Detect`].
    Detected {
        /// Which leg.
        leg: LegId,
        /// What.
        detected: Detected,
    },
    /// A prompt ended.
    PlayEnded {
        /// Which leg.
        leg: LegId,
        /// Which action.
        action: ActionId,
        /// How much was sent, repetitions included.
        played: Duration,
    },
    /// A recording ended; all of its audio has been handed out by `Engine::poll_audio`, its end mark last.
    RecordEnded {
        /// Which leg.
        leg: LegId,
        /// Which action.
        action: ActionId,
        /// Length of the recording.
        duration: Duration,
        /// Why.
        end: RecordEnd,
    },
    /// Digits have been sent, or their sending was stopped or cut off.
    DigitsSent {
        /// Which leg.
        leg: LegId,
        /// Which action.
        action: ActionId,
    },
    /// How a leg is doing, once a second while packets flow.
    Stats {
        /// Which leg.
        leg: LegId,
        /// Totals since the leg began.
        stats: LegStats,
    },
    /// Nothing has come for [`LegConfig::silent_after`] from a peer that is bound to send. Followed by [`Event::Heard`],
    /// unless the leg is removed before.
    Silent {
        /// Which leg.
        leg: LegId,
    },
    /// The silence is over: something has come, or a new negotiation lets the peer begin anew.
    Heard {
        /// Which leg.
        leg: LegId,
    },
    /// A peer that may be elsewhere ([`LegConfig::symmetric`]) has shown where it is. From now on it is sent to and heard
    /// there only, and the socket may be connected to that address, until a description names another one.
    PeerFound {
        /// Which leg.
        leg: LegId,
        /// Its media or its reports.
        channel: Channel,
        /// Where it is.
        address: SocketAddr,
    },
    /// Packets come from elsewhere than a peer that has shown where it is, and are not taken. Told once in 10 seconds at
    /// most, and only of what comes through the socket: nothing does any more once it is connected.
    Stranger {
        /// Which leg.
        leg: LegId,
        /// Where they come from.
        address: SocketAddr,
    },
    /// A stream flows badly ([`LegConfig::alarms`]); told once for each time that it begins to.
    Trouble {
        /// Which leg.
        leg: LegId,
        /// What is wrong.
        trouble: Trouble,
    },
    /// What a room tells.
    Room {
        /// Which room.
        room: RoomId,
        /// What happened.
        event: RoomEvent,
    },
    /// A leg is gone; the last event of the leg.
    LegRemoved {
        /// Which leg.
        leg: LegId,
        /// Totals.
        stats: LegStats,
    },
}

/// Which of a leg's two sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Channel {
    /// Media, the even port.
    Rtp,
    /// Reports, the odd port (RFC 3550 §11).
    Rtcp,
}

/// One packet to send; the driver knows the leg's sockets.
#[derive(Debug, PartialEq, Eq)]
pub struct Transmit<'a> {
    /// Which leg.
    pub leg: LegId,
    /// Which socket of it.
    pub channel: Channel,
    /// Where it goes.
    pub destination: SocketAddr,
    /// The packet.
    pub bytes: &'a [u8],
}

/// Audio for an open recording file, in order. Handed out at least every 100 ms of recorded time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audio {
    /// Which file.
    pub recording: RecordingId,
    /// What to write.
    pub chunk: Chunk,
}

/// One step of a recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Chunk {
    /// What was heard.
    Data {
        /// Samples per second: that of the leg's codec, which may change.
        rate: u32,
        /// How many parties were heard: 1, or 2 with the first party left. A file of another number of channels has them
        /// mixed, or twice.
        channels: u16,
        /// Linear samples, of all channels in turn.
        samples: Vec<i16>,
    },
    /// What was heard by one party, as it came: codes of a law of G.711, 8,000 a second.
    Codes {
        /// Which law.
        law: Codec,
        /// A code for each sample.
        codes: Vec<u8>,
    },
    /// Silence.
    Silence {
        /// Samples per second.
        rate: u32,
        /// How many samples of it, of each channel.
        samples: u64,
    },
    /// No more will come: complete the file.
    End,
}

impl Chunk {
    /// Samples per second, and how many there are of each channel; none of the end.
    pub fn length(&self) -> Option<(u32, u64)> {
        match self {
            Self::Data { rate, channels, samples } => {
                Some((*rate, samples.len() as u64 / u64::from((*channels).max(1))))
            }
            Self::Codes { codes, .. } => Some((crate::codec::SAMPLE_RATE, codes.len() as u64)),
            Self::Silence { rate, samples } => Some((*rate, *samples)),
            Self::End => None,
        }
    }
}
