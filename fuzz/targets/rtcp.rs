//! A leg's reports: any compound packets, among packets of media and time.

#![no_main]

use libfuzzer_sys::fuzz_target;
use offhook_media::event::Channel;

mod legs;
use legs::{Legs, take};

fuzz_target!(|data: &[u8]| {
    let mut script = data;
    let mut legs = Legs::new(0);
    let mut sequence = 0u16;
    while let &[kind, size] = take(&mut script, 2) {
        match kind {
            0..32 => legs.run(u16::from(size) * 4),
            // Media, which reports are about.
            32..64 => {
                sequence = sequence.wrapping_add(u16::from(size));
                let [high, low] = sequence.to_be_bytes();
                let head = [0x80, 0, high, low, 0, 0, high, low, 0, 0, 0, 1];
                legs.receive(Channel::Rtp, &[&head[..], &[0xff; 160]].concat());
            }
            // By the port of RTP (RFC 5761).
            64..80 => legs.receive(Channel::Rtp, take(&mut script, size.into())),
            // A packet whose type and length are right.
            80..160 => {
                let body = take(&mut script, usize::from(size) & !3);
                let [high, low] = u16::try_from(body.len() / 4).unwrap_or_default().to_be_bytes();
                let head = [0x80 | kind & 0x3f, 200 + kind % 8, high, low];
                legs.receive(Channel::Rtcp, &[&head[..], body].concat());
            }
            _ => legs.receive(Channel::Rtcp, take(&mut script, size.into())),
        }
    }
    legs.finish();
});
