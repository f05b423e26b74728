//! The two codings of WAV files that have four bits a sample: IMA ADPCM (format tag 0x11) and Microsoft's (tag 2).
//!
//! Both come in blocks that stand alone, so that a file can be played from any of them, and both send the difference to a
//! prediction in steps whose size follows the signal. IMA predicts the last sample again; Microsoft's predicts from the
//! last two, by one of a few pairs of weights.
//!
//! ```text
//! IMA        of each channel: sample (16), step index (8), 0 (8) │ 4 octets of each channel in turn, low nibble first
//! Microsoft  predictors (8 each), steps (16), samples 1, samples 0 │ one nibble of each channel in turn, high nibble first
//! ```
//!
//! The arithmetic is that of the IMA's *Recommended Practices for Enhancing Digital Audio Compatibility* (1992) and of
//! Microsoft's *Multimedia Standards Update* (1994), as SoX and libsndfile have it. FFmpeg rounds both differently.

pub mod ima;
pub mod microsoft;
