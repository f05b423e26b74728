//! How much louder or softer: a factor in fixed point, so that all machines make the same samples of it.

/// The bits behind the point.
const BITS: u32 = 12;

/// A change of level. Of [`Gain::LOUDEST`] at most, so that a sample of 16 bits times the factor is one of 32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gain(i32);

impl Gain {
    /// As it is.
    pub const UNITY: Self = Self(1 << BITS);
    /// The range in decibels.
    pub const SOFTEST: i8 = -40;
    /// Likewise.
    pub const LOUDEST: i8 = 20;

    /// The gain of so many decibels, which are brought into the range -40 to +20 first.
    pub fn from_decibels(decibels: i8) -> Self {
        let decibels = decibels.clamp(Self::SOFTEST, Self::LOUDEST);
        let factor = 10f32.powf(f32::from(decibels) / 20.0) * f32::from(1u16 << BITS);
        #[expect(clippy::cast_possible_truncation, reason = "from 41 to 40,960 in the range")]
        Self(factor.round() as i32)
    }

    /// The sample at this level, which may be beyond 16 bits.
    pub fn of(self, sample: i16) -> i32 {
        (i32::from(sample) * self.0 + (1 << (BITS - 1))) >> BITS
    }

    /// The same of what is a sum already. Sums have up to 24 bits; what would be beyond 32 is held there.
    pub(crate) fn of_sum(self, sum: i32) -> i32 {
        let scaled = (i64::from(sum) * i64::from(self.0) + (1 << (BITS - 1))) >> BITS;
        i32::try_from(scaled).unwrap_or(if scaled < 0 { i32::MIN } else { i32::MAX })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decibels_are_what_they_say() {
        for decibels in -40..=20i8 {
            let expected = 10_000.0 * 10f64.powf(f64::from(decibels) / 20.0);
            let gain = Gain::from_decibels(decibels);
            // Half a step of the factor at -40 dB, and of the sample.
            assert!((f64::from(gain.of(10_000)) - expected).abs() < 1.8, "{decibels} dB");
            assert!((f64::from(gain.of(-10_000)) + expected).abs() < 1.8, "{decibels} dB");
            assert!(
                (f64::from(gain.of_sum(1_000_000)) / expected / 100.0 - 1.0).abs() < 0.0125,
                "a tenth of a decibel"
            );
        }
        assert_eq!(Gain::from_decibels(0), Gain::UNITY);
        for sample in i16::MIN..=i16::MAX {
            assert_eq!(Gain::UNITY.of(sample), i32::from(sample));
        }
    }

    #[test]
    fn nothing_wraps() {
        assert_eq!(Gain::from_decibels(127), Gain::from_decibels(20));
        assert_eq!(Gain::from_decibels(-128), Gain::from_decibels(-40));
        assert_eq!(Gain::from_decibels(20).of(i16::MIN), -327_680);
        assert_eq!(Gain::from_decibels(20).of_sum(i32::MAX), i32::MAX);
        assert_eq!(Gain::from_decibels(20).of_sum(i32::MIN), i32::MIN);
    }
}
