//! The detectors against synthesised speech of several voices and languages, made by espeak-ng when the tests run: no key
//! in what nobody dialled, and who or what answered the phone. The short corpora are part of every run; the long ones, whose figures
//! the modules quote, are asked for:
//!
//! ```sh
//! nice cargo test --package offhook-media --test detectors -- --ignored --nocapture
//! ```

mod amd;
mod cost;
mod noise;
mod speech;
mod talk_off;
mod tones;
