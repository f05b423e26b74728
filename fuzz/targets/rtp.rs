//! A leg between any packets and time: what is near to RTP, and what is not.

#![no_main]

use libfuzzer_sys::fuzz_target;
use offhook_media::event::Channel;

mod legs;
use legs::{Legs, take};

fuzz_target!(|data: &[u8]| {
    let mut script = data;
    let &[choice] = take(&mut script, 1) else { return };
    let mut legs = Legs::new(choice);
    let (mut sequence, mut timestamp) = (0u16, 0u32);
    while let &[kind, size] = take(&mut script, 2) {
        match kind % 8 {
            // Time.
            0 => legs.run(u16::from(size) * 4),
            // Any datagram.
            1 => legs.receive(Channel::Rtp, take(&mut script, size.into())),
            2 => legs.receive(Channel::Rtcp, take(&mut script, size.into())),
            // A packet of the leg's own codec, or of any payload type, in order or by any step.
            _ => {
                let &[payload_type, steps, step] = take(&mut script, 3) else { break };
                sequence = sequence.wrapping_add(u16::from(steps)).wrapping_sub(u16::from(steps / 16));
                timestamp = timestamp.wrapping_add(u32::from(step) * 8);
                if kind & 0x40 != 0 {
                    timestamp = timestamp.wrapping_mul(0x10001);
                }
                let payload = take(&mut script, usize::from(size) * (1 + usize::from(kind >> 7)));
                let head = [if kind & 0x20 == 0 { 0x80 } else { step }, payload_type];
                let ssrc = [0, 0, 0, kind >> 3 & 1];
                let packet =
                    [&head[..], &sequence.to_be_bytes(), &timestamp.to_be_bytes(), &ssrc, payload].concat();
                legs.receive(Channel::Rtp, &packet);
                if kind & 0x10 != 0 {
                    legs.run(10);
                }
            }
        }
    }
    legs.finish();
});
