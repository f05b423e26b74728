//! A whole endpoint between a hostile network, an application that wants anything, and time: the script of the tests.

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
    script.play(data);
    script.finish();
});
