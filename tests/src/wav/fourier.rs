//! The scalar products of a signal with all windows of another in one go, by the correlation theorem: a prompt of some seconds
//! is compared with tens of thousands of windows, which one by one would be billions of products.

/// A complex number.
type Complex = (f64, f64);

/// The product of `there` with each window of `here` of its length, from the first to the last. `here` is not shorter.
#[allow(clippy::cast_possible_truncation, reason = "a product of samples below 1")]
pub(super) fn products(here: &[f32], there: &[f32]) -> Vec<f32> {
    // One more than both have, so that no window runs over the end into the beginning.
    let size = (here.len() + there.len()).next_power_of_two();
    let [mut one, mut other] = [here, there].map(|samples| {
        let samples = samples.iter().map(|&sample| (f64::from(sample), 0.0));
        let mut padded: Vec<Complex> = samples.collect();
        padded.resize(size, (0.0, 0.0));
        padded
    });
    transform(&mut one);
    transform(&mut other);
    // Of a real signal, the transform backwards is that of the conjugate forwards.
    for (a, b) in one.iter_mut().zip(&other) {
        *a = (a.0 * b.0 + a.1 * b.1, a.0 * b.1 - a.1 * b.0);
    }
    transform(&mut one);
    #[allow(clippy::cast_precision_loss, reason = "the size of a signal of minutes")]
    let scale = 1.0 / size as f64;
    one[..=here.len() - there.len()].iter().map(|(real, _)| (real * scale) as f32).collect()
}

/// The discrete Fourier transform, in place (Cooley and Tukey, 1965). The length is a power of two.
fn transform(values: &mut [Complex]) {
    let length = values.len();
    let bits = length.trailing_zeros();
    for index in 0..length {
        let mirrored = if bits == 0 { 0 } else { index.reverse_bits() >> (usize::BITS - bits) };
        if index < mirrored {
            values.swap(index, mirrored);
        }
    }
    let mut half = 1;
    while half < length {
        #[allow(clippy::cast_precision_loss, reason = "the size of a signal of minutes")]
        let turns: Vec<Complex> = (0..half)
            .map(|step| -std::f64::consts::PI * step as f64 / half as f64)
            .map(|angle| (angle.cos(), angle.sin()))
            .collect();
        for piece in values.chunks_exact_mut(2 * half) {
            let (low, high) = piece.split_at_mut(half);
            for ((a, b), turn) in low.iter_mut().zip(high).zip(&turns) {
                let turned = (b.0 * turn.0 - b.1 * turn.1, b.0 * turn.1 + b.1 * turn.0);
                (*a, *b) = ((a.0 + turned.0, a.1 + turned.1), (a.0 - turned.0, a.1 - turned.1));
            }
        }
        half *= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against the definition.
    #[test]
    fn products_are_those_of_each_window() {
        let mut random = fastrand::Rng::with_seed(1);
        for (long, short) in [(1, 1), (2, 1), (7, 7), (100, 31), (1_000, 999), (1_500, 64)] {
            let [here, there] =
                [long, short].map(|length| (0..length).map(|_| random.f32() - 0.5).collect::<Vec<f32>>());
            let found = products(&here, &there);
            assert_eq!(found.len(), long - short + 1);
            for (window, found) in here.windows(short).zip(found) {
                let expected: f32 = window.iter().zip(&there).map(|(a, b)| a * b).sum();
                assert!((found - expected).abs() < 1e-4, "{found} {expected}");
            }
        }
    }
}
