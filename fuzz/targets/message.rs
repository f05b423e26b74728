//! One message, to an endpoint that trusts its sender: every header that a request or response is asked for is read.

#![no_main]

use std::sync::OnceLock;
use std::time::Instant;

use libfuzzer_sys::fuzz_target;

#[path = "../../crates/sip/tests/wire/script.rs"]
mod script;

fuzz_target!(|data: &[u8]| {
    static EPOCH: OnceLock<Instant> = OnceLock::new();
    #[allow(
        clippy::disallowed_methods,
        reason = "an Instant cannot be made otherwise; scripts only add to it"
    )]
    let epoch = *EPOCH.get_or_init(Instant::now);
    let mut script = script::Script::new(epoch);
    script.datagram(data.to_vec());
    script.finish();
});
