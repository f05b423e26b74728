//! How good a conversation is, as an estimate: the mean opinion score of the E-model (ITU-T G.107), of what is measured
//! on the way, with the Recommendation's defaults for all that is not.
//!
//! ```text
//!   R = 93.2 − Id(delay) − Ie,eff(codec, loss)          MOS = 1 + 0.035 R + R (R − 60)(100 − R) 7·10⁻⁶
//! ```
//! Ie,eff is that of G.107 §7.5 for random loss; Id the two straight lines that stand for §7.4 in Cole and Rosenbluth,
//! "Voice over IP performance monitoring" (2001); from R to MOS it is G.107 Annex B. The scale is that of narrow-band
//! telephony, on which nothing is better than 4.41, wide-band codecs included.

use std::time::Duration;

use crate::codec::Codec;

/// R of a connection with nothing but the default impairments (G.107 Table 2).
const BEST: f64 = 93.2;
/// The mouth-to-ear delay in ms beyond which people begin to talk into each other.
const KNEE_MS: f64 = 177.3;

/// The mean opinion score, 1 to 4.41: `loss` is the part of the packets that is not heard, `delay` from mouth to ear.
pub(crate) fn mos(codec: Codec, loss: f64, delay: Duration) -> f64 {
    score(BEST - delay_impairment(delay) - loss_impairment(codec, loss))
}

fn delay_impairment(delay: Duration) -> f64 {
    let ms = delay.as_secs_f64() * 1000.0;
    0.024 * ms + 0.11 * (ms - KNEE_MS).max(0.0)
}

fn loss_impairment(codec: Codec, loss: f64) -> f64 {
    let (equipment, robustness) = equipment(codec);
    let percent = loss.clamp(0.0, 1.0) * 100.0;
    equipment + (95.0 - equipment) * percent / (percent + robustness)
}

/// Ie and Bpl of G.113 Appendix I. It has none for wide-band codecs on this scale, which are taken as G.711 with
/// concealment, and no Bpl for GSM full rate, which is taken as that of the enhanced full rate.
fn equipment(codec: Codec) -> (f64, f64) {
    match codec {
        Codec::Gsm => (20.0, 10.0),
        _ => (0.0, 25.1),
    }
}

/// G.107 Annex B.
fn score(r: f64) -> f64 {
    let r = r.clamp(0.0, 100.0);
    (1.0 + 0.035 * r + r * (r - 60.0) * (100.0 - r) * 7e-6).clamp(1.0, 4.5)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_of_the_recommendation() {
        // G.107 Table B.1: the limits of the classes of user satisfaction.
        for (r, expected) in [(90.0, 4.34), (80.0, 4.03), (70.0, 3.60), (60.0, 3.10), (50.0, 2.58)] {
            assert!((score(r) - expected).abs() < 0.01, "{r}: {}", score(r));
        }
        assert!((score(-5.0) - 1.0).abs() < 1e-9 && score(100.0) <= 4.5);
    }

    #[test]
    fn loss_and_delay_take_from_the_best() {
        let none = Duration::ZERO;
        assert!((mos(Codec::Pcmu, 0.0, none) - 4.41).abs() < 0.01);
        // 95 · 5 / (5 + 25.1) = 15.8; R = 77.4, between 3.60 and 4.03.
        let lossy = mos(Codec::Pcmu, 0.05, none);
        assert!((3.9..3.95).contains(&lossy), "{lossy}");
        // 300 ms: 7.2 + 13.5; R = 72.5.
        let late = mos(Codec::Pcma, 0.0, Duration::from_millis(300));
        assert!((3.68..3.76).contains(&late), "{late}");
        assert!(mos(Codec::Gsm, 0.0, none) < 3.8);
        assert!(mos(Codec::Pcmu, 1.0, Duration::from_secs(60)) < 1.01);
    }
}
