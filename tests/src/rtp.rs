//! One end of an RTP stream, made by hand (RFC 3550 §5.1, RFC 4733 §2): it counts and decodes what arrives, and sends
//! audio and digits at their pace. Its G.711 is computed from the definition, not taken from the code under test.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::time::MissedTickBehavior;

use crate::wait;
use crate::wav::Signal;

/// RTP payload type of PCMU.
pub const PCMU: u8 = 0;
/// RTP payload type that our offers and the scenarios give to telephone-events.
pub const TELEPHONE_EVENT: u8 = 101;
/// Samples of a packet of 20 ms.
const FRAME: usize = 160;
/// The same, as a step of the timestamp.
const FRAME_TICKS: u32 = 160;

/// A packet as it came.
#[derive(Clone, Debug)]
pub struct Packet {
    /// Where it came from.
    pub from: SocketAddr,
    /// Payload type.
    pub payload_type: u8,
    /// Sequence number.
    pub sequence: u16,
    /// Timestamp.
    pub timestamp: u32,
    /// What it carries.
    pub payload: Vec<u8>,
}

impl Packet {
    /// Reads version 2 without padding, extension or contributing sources: what a phone sends. Others are none.
    fn read(from: SocketAddr, bytes: &[u8]) -> Option<Self> {
        let (header, payload) = bytes.split_at_checked(12)?;
        (header[0] == 0x80).then(|| Self {
            from,
            payload_type: header[1] & 0x7f,
            sequence: u16::from_be_bytes([header[2], header[3]]),
            timestamp: u32::from_be_bytes([header[4], header[5], header[6], header[7]]),
            payload: payload.to_vec(),
        })
    }
}

/// A peer's RTP port.
#[derive(Debug)]
pub struct RtpPeer {
    socket: Arc<UdpSocket>,
    heard: Arc<Mutex<Vec<Packet>>>,
    reader: tokio::task::JoinHandle<()>,
    sequence: u16,
    timestamp: u32,
}

impl RtpPeer {
    /// Listens on `port` of 127.0.0.1.
    pub async fn listen(port: u16) -> Self {
        Self::listen_at(Ipv4Addr::LOCALHOST.into(), port).await
    }

    /// Listens on `port` of `address`.
    pub async fn listen_at(address: IpAddr, port: u16) -> Self {
        let socket = Arc::new(UdpSocket::bind((address, port)).await.expect("the RTP port"));
        let heard = Arc::new(Mutex::new(Vec::new()));
        let reader = tokio::spawn(read_all(Arc::clone(&socket), Arc::clone(&heard)));
        Self { socket, heard, reader, sequence: 65_530, timestamp: 4_294_960_000 }
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.socket.local_addr().expect("a bound socket").port()
    }

    /// All packets so far, in the order of their arrival.
    pub fn packets(&self) -> Vec<Packet> {
        self.heard.lock().expect("a list of packets").clone()
    }

    /// How many packets have arrived.
    pub fn count(&self) -> usize {
        self.heard.lock().expect("a list of packets").len()
    }

    /// Waits until `more` packets have come after this moment.
    pub async fn hear_more(&self, more: usize, patience: Duration) {
        self.hear(self.count() + more, patience).await;
    }

    /// Waits until `all` packets have come.
    pub async fn hear(&self, all: usize, patience: Duration) {
        let heard = async || (self.count() >= all).then_some(());
        wait::until(&format!("{all} RTP packets"), patience, heard).await;
    }

    /// Where the last packet came from.
    pub async fn far_end(&self) -> SocketAddr {
        let last = async || self.heard.lock().expect("a list of packets").last().map(|packet| packet.from);
        wait::until("a first RTP packet", wait::PATIENCE, last).await
    }

    /// The keys it was sent as telephone-events: one per timestamp (RFC 4733 §2.5.1.2), its end three times (§2.5.1.4),
    /// durations growing. A key that has not ended yet is not counted.
    pub fn keys(&self) -> String {
        let packets = self.packets();
        let events: Vec<_> = packets.iter().filter(|packet| packet.payload_type == TELEPHONE_EVENT).collect();
        let keys = events.chunk_by(|a, b| a.timestamp == b.timestamp).filter_map(|packets| {
            let ends = packets.iter().filter(|packet| packet.payload[1] & 0x80 != 0).count();
            let durations =
                packets.iter().map(|packet| u16::from_be_bytes([packet.payload[2], packet.payload[3]]));
            assert!(ends <= 3 && durations.is_sorted(), "{packets:?}");
            (ends == 3).then(|| char::from(b"0123456789*#ABCD"[usize::from(packets[0].payload[0])]))
        });
        keys.collect()
    }

    /// The PCMU packets as a signal, each at the place that its timestamp says; gaps are silence.
    pub fn signal(&self) -> Signal {
        let packets: Vec<Packet> =
            self.packets().into_iter().filter(|packet| packet.payload_type == PCMU).collect();
        let Some(first) = packets.first() else { return Signal(Vec::new()) };
        let mut samples: Vec<f32> = Vec::new();
        for packet in &packets {
            let place = packet.timestamp.wrapping_sub(first.timestamp) as usize;
            assert!(place < 8000 * 600, "timestamps jump by {place} samples");
            samples.resize(samples.len().max(place + packet.payload.len()), 0.0);
            for (sample, byte) in samples[place..].iter_mut().zip(&packet.payload) {
                *sample = mu_law_to_linear(*byte);
            }
        }
        Signal(samples)
    }

    /// Sends a signal as PCMU, a packet each 20 ms; returns at its end.
    pub async fn speak(&mut self, signal: &Signal, to: SocketAddr) {
        let mut pace = pace();
        for frame in signal.0.chunks(FRAME) {
            pace.tick().await;
            let payload: Vec<u8> = frame.iter().map(|sample| linear_to_mu_law(*sample)).collect();
            self.send(PCMU, false, &payload, to).await;
            self.timestamp = self.timestamp.wrapping_add(FRAME_TICKS);
        }
    }

    /// Presses keys (`0-9*#A-D`), each for 100 ms with 60 ms of quiet after it, as RFC 4733 §2.5 wants: one timestamp
    /// for an event, growing durations, the end three times.
    pub async fn press(&mut self, keys: &str, to: SocketAddr) {
        const STEPS: u16 = 5;
        const VOLUME: u8 = 10;
        let mut pace = pace();
        for key in keys.chars() {
            let event = "0123456789*#ABCD".find(key).expect("a DTMF key");
            let event = u8::try_from(event).expect("an event below 16");
            for step in 1..=STEPS + 2 {
                pace.tick().await;
                let end = if step >= STEPS { 0x80 } else { 0 };
                let [high, low] = (step.min(STEPS) * 160).to_be_bytes();
                self.send(TELEPHONE_EVENT, step == 1, &[event, end | VOLUME, high, low], to).await;
            }
            self.timestamp = self.timestamp.wrapping_add(160 * u32::from(STEPS));
            for _quiet in 0..3 {
                pace.tick().await;
                self.timestamp = self.timestamp.wrapping_add(FRAME_TICKS);
            }
        }
    }

    /// Sends one packet as it is, for hostile tests.
    pub async fn send_raw(&self, bytes: &[u8], to: SocketAddr) {
        // A peer that is gone is told by ICMP at the next send; a phone does not mind either.
        let _ = self.socket.send_to(bytes, to).await;
    }

    async fn send(&mut self, payload_type: u8, marker: bool, payload: &[u8], to: SocketAddr) {
        let mut packet = vec![0x80, payload_type | if marker { 0x80 } else { 0 }];
        packet.extend(self.sequence.to_be_bytes());
        packet.extend(self.timestamp.to_be_bytes());
        packet.extend(0x0FF4_00C4_u32.to_be_bytes());
        packet.extend(payload);
        self.sequence = self.sequence.wrapping_add(1);
        self.send_raw(&packet, to).await;
    }
}

impl Drop for RtpPeer {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

async fn read_all(socket: Arc<UdpSocket>, heard: Arc<Mutex<Vec<Packet>>>) {
    let mut buffer = [0; 2048];
    loop {
        // An error here is the ICMP answer to something we sent; the next packet counts again.
        if let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            heard.lock().expect("a list of packets").extend(Packet::read(from, &buffer[..length]));
        }
    }
}

/// A tick each 20 ms, without a burst after a stall.
fn pace() -> tokio::time::Interval {
    let mut pace = tokio::time::interval(Duration::from_millis(20));
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pace
}

/// ITU-T G.711 table 2a: inverted bits; sign, chord and step; a bias of 33 in 14 bits.
#[allow(clippy::cast_precision_loss, reason = "14-bit values")]
fn mu_law_to_linear(byte: u8) -> f32 {
    let byte = !byte;
    let magnitude = (((u32::from(byte & 0x0f) << 1) | 33) << ((byte >> 4) & 7)) - 33;
    let level = magnitude as f32 / 8192.0;
    if byte & 0x80 == 0 { level } else { -level }
}

fn linear_to_mu_law(sample: f32) -> u8 {
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped to 13 bits, not negative"
    )]
    let magnitude = ((sample.abs() * 8192.0) as u32).min(8158) + 33;
    let chord = magnitude.ilog2() - 5;
    let step = (magnitude >> (chord + 1)) & 0x0f;
    let sign = if sample < 0.0 { 0x80 } else { 0 };
    #[allow(clippy::cast_possible_truncation, reason = "seven bits")]
    let code = (chord << 4 | step) as u8;
    !(sign | code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mu_law_has_the_values_of_g711() {
        // Table 2a: 0xff is +0, 0x80 is +8031, 0x00 is −8031, 0xf0 … ends the first chord at 30.
        for (byte, level) in [(0xff, 0.0), (0x80, 8031.0), (0x00, -8031.0), (0xf0, 30.0)] {
            assert!((mu_law_to_linear(byte) * 8192.0 - level).abs() < 0.5, "{byte:#x}");
        }
        // +0 and −0 are one value; every other byte comes back.
        for byte in (0..=255_u8).filter(|byte| *byte != 0x7f) {
            assert_eq!(linear_to_mu_law(mu_law_to_linear(byte)), byte);
        }
    }
}
