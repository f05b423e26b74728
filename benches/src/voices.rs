//! The callers' voices: a packet each 20 ms from every caller, on one thread, spread over the frame as the packets of
//! callers are who know nothing of each other. In G.711 each says in its payload when it was sent, which the ear of the
//! other party of a connection can read where the server passes it on as it is.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use offhook_media::codec::{Codec, Encoder};
use rtp_rs::{RtpPacketBuilder, Seq};

/// The payload types of the codecs that callers speak.
pub(crate) const PCMU: u8 = 0;
/// The other law.
pub(crate) const PCMA: u8 = 8;
/// A dynamic one.
pub(crate) const OPUS: u8 = 111;

/// Bursts in a packet time.
const BURSTS: u32 = 20;
const PACKET_TIME: Duration = Duration::from_millis(20);
/// What a payload begins with that says when it was sent.
const MARK: [u8; 4] = [0x5a, 0xc3, 0x96, 0x0f];
/// Bytes in a payload: 20 ms of G.711.
const PAYLOAD: usize = 160;

/// One caller's voice.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) socket: Arc<UdpSocket>,
    pub(crate) to: SocketAddr,
    pub(crate) payload_type: u8,
}

/// Callers who speak until this is dropped.
#[derive(Debug)]
pub(crate) struct Voices {
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Voices {
    /// They begin to speak.
    pub(crate) fn begin(streams: Vec<Stream>) -> Self {
        Self::say(streams, |_| stamped(time_of_day()).to_vec())
    }

    /// The same with tones as loud as talk, in G.711: what is mixed of them says nothing of when it was sent.
    pub(crate) fn hum(streams: Vec<Stream>) -> Self {
        let (pcmu, pcma) = (tone(Codec::Pcmu), tone(Codec::Pcma));
        Self::say(streams, move |law| if law == PCMA { pcma.clone() } else { pcmu.clone() })
    }

    fn say(streams: Vec<Stream>, law: impl Fn(u8) -> Vec<u8> + Send + 'static) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&is_over);
        let speak = move || speak(&streams, law, &told);
        let thread = std::thread::Builder::new().name("voices".into()).spawn(speak);
        Self { is_over, thread: Some(thread.expect("a thread for the voices")) }
    }
}

impl Drop for Voices {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn speak(streams: &[Stream], says: impl Fn(u8) -> Vec<u8>, is_over: &AtomicBool) {
    let opus = tone(Codec::Opus);
    let begun = Instant::now();
    for burst in 0_u32.. {
        if is_over.load(Ordering::Relaxed) {
            return;
        }
        let due = begun + PACKET_TIME / BURSTS * burst;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        for (index, stream) in (0_u32..).zip(streams).skip((burst % BURSTS) as usize).step_by(BURSTS as usize)
        {
            let (ssrc, number) = (index + 1, burst / BURSTS);
            let packet = match stream.payload_type {
                OPUS => packet(OPUS, ssrc, number, 960, &opus),
                law => packet(law, ssrc, number, 160, &says(law)),
            };
            // What cannot be sent is the loss of who listens.
            let _ = stream.socket.send_to(&packet, stream.to);
        }
    }
}

fn packet(payload_type: u8, ssrc: u32, number: u32, lasts: u32, payload: &[u8]) -> Vec<u8> {
    #[allow(clippy::cast_possible_truncation, reason = "sequence numbers wrap")]
    let sequence = Seq::from(number as u16);
    let builder = RtpPacketBuilder::new().payload_type(payload_type).ssrc(ssrc).sequence(sequence);
    builder.timestamp(number.wrapping_mul(lasts)).payload(payload).build().expect("an RTP packet")
}

/// A payload of G.711 that says when it is sent.
pub(crate) fn stamped(at: Duration) -> [u8; PAYLOAD] {
    let mut payload = [0xd5; PAYLOAD];
    payload[..4].copy_from_slice(&MARK);
    payload[4..12].copy_from_slice(&nanos(at).to_be_bytes());
    payload
}

/// A frame of a tone in a codec.
pub(crate) fn tone(codec: Codec) -> Vec<u8> {
    let (mut payload, rate) = (Vec::new(), f64::from(codec.sample_rate()));
    let samples = (0_u32..).map(|at| (f64::from(at) / rate * 440.0 * std::f64::consts::TAU).sin() * 8_000.0);
    #[allow(clippy::cast_possible_truncation, reason = "its amplitude is 8,000")]
    let samples: Vec<i16> = samples.map(|sample| sample as i16).take(codec.frame_samples()).collect();
    Encoder::new(codec).encode(&samples, &mut payload);
    payload
}

/// How old a payload is at this time of day, if it says when it was sent.
pub(crate) fn age(payload: &[u8], at: Duration) -> Option<Duration> {
    sent_at(payload).map(|sent| at.saturating_sub(sent))
}

/// When a payload was sent, if it says so.
pub(crate) fn sent_at(payload: &[u8]) -> Option<Duration> {
    let sent = payload.strip_prefix(&MARK)?.first_chunk::<8>()?;
    Some(Duration::from_nanos(u64::from_be_bytes(*sent)))
}

/// The time of day, by which the kernel stamps what comes.
fn time_of_day() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("later than 1970")
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_says_how_old_it_is() {
        let sent = packet(PCMU, 7, 70_000, 160, &stamped(time_of_day()));
        let read = rtp_rs::RtpReader::new(&sent).expect("an RTP packet");
        assert_eq!((read.payload_type(), read.ssrc(), read.timestamp()), (0, 7, 11_200_000));
        let age_in = |ms| age(read.payload(), time_of_day() + Duration::from_millis(ms)).expect("a mark");
        assert!((500..600).contains(&age_in(500).as_millis()));
        assert_eq!(age(&[0xd5; PAYLOAD], time_of_day()), None);
    }
}
