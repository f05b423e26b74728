//! The tone detector: hears keys in the audio (ITU-T Q.23, Q.24).
//!
//! Eight Goertzel filters look at blocks of 102 samples (12.75 ms), a new block every 34. A block is a third shared with
//! each of its neighbours: every third is filtered once, and three are joined by turning their phases to a common moment.
//!
//! ```text
//! samples   ├──34──┼──34──┼──34──┼──34──┼──34──┤
//! blocks    ╰─────────1──────────╯
//!                  ╰─────────2──────────╯         hit: one row and one column hold nearly all energy of the block
//!                         ╰─────────3──────────╯  key: five blocks in a row hit it, on frequency
//! ```
//!
//! Telling a key 3.5 % off its frequency from one 1.5 % off by its level would take a block of 50 ms. From one block to
//! the next, though, the phase of a tone that is off by δ Hz turns by 2π·δ·34/8000 more than that of the filter: this gives
//! the frequency to a few hertz, decides what is a key, and tells how much of an off-centre tone the filter has missed.
//! A voice, whose pitch and formants glide, is told from a key by the same turn.
//!
//! What it does, and the test that shows it:
//!
//! | | |
//! |---|---|
//! | keys of 40 ms with gaps of 40 ms | all: `every_key_of_40_ms_on_and_off_is_heard_once` |
//! | gaps down to 30 ms | all: `the_gap_between_two_presses_of_one_key_is_heard_down_to_30_ms` |
//! | shorter than 23 ms | none: `nothing_shorter_than_23_ms_is_a_key` |
//! | frequencies off by 1.5 %, by 3.5 % | all, none: `frequencies_off_by_a_little_pass_and_by_more_do_not` |
//! | row 8 dB over column, column 4 dB over row | all: `twist_is_accepted_within_limits_and_refused_beyond` |
//! | white noise 12 dB below the key | 1,040 of 1,040: `keys_are_heard_through_noise_12_db_below` |
//! | levels −36 to −3 dBm0 per tone, either law | all: `keys_are_heard_at_all_levels_of_either_law` |
//! | a dropout of 10 ms within a key | one key: `a_dropout_of_10_ms_does_not_make_two_keys` |
//! | voiced sounds, noise, single and call-progress tones | none: `speech_like_sounds_are_no_keys` and its neighbours |
//!
//! `the_table_of_keys` prints the same figures over 1,040 presses each. Speech of 16 voices in 15 languages is no key either:
//! 12 minutes of it in every run (`tests/detectors/talk_off.rs`), 2,503 minutes by hand with espeak-ng 1.51. 20 ms of speech
//! cost 0.8 µs (`tests/detectors/cost.rs`).

use super::{COLUMNS, Key, KeyEvent, PAD, ROWS};
use crate::complex::Complex;
use std::f32::consts::TAU;
use std::time::Duration;

#[cfg(test)]
mod tests;

/// Samples from one block to the next.
const HOP: usize = 34;
/// Samples in a block: long enough to keep rows 73 Hz apart, short enough to be filled twice over by a key of 40 ms.
const BLOCK: usize = 3 * HOP;
/// Blocks in a row that must hit the same key: 238 samples. The outer ones may lack a sixth of theirs, so that a tone of
/// 25 ms is the shortest that can be heard and one of 30 ms always is.
const HITS: u32 = 5;
/// After its beginning a clean tone is known as a key within 34 ms: the five blocks, and what was before it in the first.
pub const LATEST: Duration = Duration::from_millis(34);
/// Blocks without the key after which it is released: 19 ms or less of dropout is always ridden, 26 ms or more never.
const MISSES: u32 = 7;
/// The least level of either tone: −40 dBm0, as the square of its amplitude in samples.
const LEAST_POWER: f32 = 228.26 * 228.26;
/// The share of a block's energy that the two tones must hold. At 12 dB over the noise they hold 0.94, in a block of which
/// a sixth is silent 0.83, and speech seldom has more than 0.7.
const LEAST_SHARE: f32 = 0.82;
/// The share that they must hold on average over all blocks of the key, of which only the outer are partly silent.
const MEAN_SHARE: f32 = 0.87;
/// How much stronger a tone must be than each other of its group: 6 dB. A weak column beside its strong row is seen with no
/// more, for what leaks of both into its neighbour.
const LEAST_PEAK: f32 = 4.0;
/// How far the turn of a tone may be from the mean of the key so far, in radians: 9 Hz. Noise at 9 dB makes half of that;
/// the harmonics of a voice glide by more within 30 ms.
const STEADY: f32 = 0.25;
/// How far the power of a tone may be from the mean of the key so far, as a factor: 3 dB. A block of which a sixth is
/// silent is 1.6 dB down.
const LEVEL: f32 = 2.0;
/// The row may be 8 dB over the column (Q.24), and half a decibel for the measurement.
const ROW_OVER_COLUMN: f32 = 7.08;
/// The column may be 4 dB over the row (Q.24), and half a decibel for the measurement.
const COLUMN_OVER_ROW: f32 = 2.82;
/// How far off its frequency a tone may be: between the 1.5 % that must pass and the 3.5 % that must not (Q.24). Noise 12 dB
/// below moves what is measured by 0.2 %.
const TOLERANCE: f32 = 0.019;
/// Row and column that are off in opposite directions by more than this together have to be clean. The fourth and fifth
/// harmonics of a voice at 240 Hz are `*` with its tones 2.8 % closer, and nothing lies between them.
const SKEW: f32 = 0.022;
/// The share of such a clean key: tones that are off by 1.5 % hold 0.93 at least, those voices 0.91 at most.
const CLEAN_SHARE: f32 = 0.925;

/// Hears keys in a stream of samples at 8 kHz.
#[derive(Clone, Debug)]
pub struct ToneDetector {
    bank: Bank,
    /// Samples that do not yet fill a third of a block.
    pending: [i16; HOP],
    filled: usize,
    /// The last two thirds, older first.
    thirds: [Third; 2],
    /// The last block, for the turn of its phases.
    last: [Complex; 8],
    /// Samples in all blocks so far.
    position: u64,
    candidate: Option<Candidate>,
    pressed: Option<Pressed>,
    /// Whether a key was on in the samples last pushed.
    is_key: bool,
}

/// What a third of a block has come to: its energy, and each filter's output as of its last sample.
#[derive(Clone, Copy, Debug, Default)]
struct Third {
    energy: f32,
    outputs: [Complex; 8],
}

/// A key that the last blocks hit.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    place: (usize, usize),
    hits: u32,
    /// End of the first block.
    since: u64,
    /// Turns of row and column from block to block, summed.
    turns: (Complex, Complex),
    /// Powers of row and column, summed.
    powers: (f32, f32),
    /// Shares of the blocks' energy, summed.
    share: f32,
}

/// The key that has been told as pressed.
#[derive(Clone, Copy, Debug)]
struct Pressed {
    key: Key,
    /// End of the first block that hit it.
    first: u64,
    /// End of the last block that hit it.
    last: u64,
    misses: u32,
}

/// What a block says: which key, and how its tones have turned since the block before.
struct Hit {
    place: (usize, usize),
    turns: (Complex, Complex),
    powers: (f32, f32),
    share: f32,
}

impl Default for ToneDetector {
    fn default() -> Self {
        Self::new()
    }
}

impl ToneDetector {
    /// A detector that has heard silence.
    pub fn new() -> Self {
        Self {
            bank: Bank::new(),
            pending: [0; HOP],
            filled: 0,
            thirds: Default::default(),
            last: Default::default(),
            position: 0,
            candidate: None,
            pressed: None,
            is_key: false,
        }
    }

    /// Takes the next samples. Returns what they tell, in order; starts are told about 30 ms into the tone, ends about
    /// 35 ms after it.
    pub fn push(&mut self, mut samples: &[i16]) -> Vec<KeyEvent> {
        let mut told = Vec::new();
        self.is_key = self.is_on();
        while !samples.is_empty() {
            let (taken, rest) = samples.split_at(samples.len().min(HOP - self.filled));
            self.pending[self.filled..self.filled + taken.len()].copy_from_slice(taken);
            self.filled += taken.len();
            samples = rest;
            if self.filled == HOP {
                self.filled = 0;
                let hit = self.block();
                self.judge(hit, &mut told);
                self.is_key |= self.is_on();
            }
        }
        told
    }

    /// Whether some of a key was in the samples last pushed. It is known [`LATEST`] after the key began, and then for as
    /// long as the key lasts; what merely sounds like a key for a while is none.
    pub fn is_key(&self) -> bool {
        self.is_key
    }

    /// Whether the last block hit the key that is pressed.
    fn is_on(&self) -> bool {
        self.pressed.is_some_and(|pressed| pressed.misses == 0)
    }

    /// Completes a third and with it a block.
    fn block(&mut self) -> Option<Hit> {
        self.position += HOP as u64;
        let third = self.bank.filter(&self.pending);
        let [older, old] = self.thirds;
        self.thirds = [old, third];
        let energy = older.energy + old.energy + third.energy;
        let block: [Complex; 8] = std::array::from_fn(|n| {
            let turn = self.bank.hop[n];
            third.outputs[n] + turn * (old.outputs[n] + turn * older.outputs[n])
        });
        let last = std::mem::replace(&mut self.last, block);
        // Two tones of the least level make twice this: on a quiet line nothing below is computed.
        if energy < LEAST_POWER * (BLOCK / 2) as f32 {
            return None;
        }
        let power = block.map(Complex::power);
        let place = (strongest(&power[..4])?, strongest(&power[4..])?);
        let (row, column) = self.bank.apart(place, &block);
        let (last_row, last_column) = self.bank.apart(place, &last);
        let turns = (
            row * last_row.conjugate() * self.bank.hop[place.0].conjugate(),
            column * last_column.conjugate() * self.bank.hop[4 + place.1].conjugate(),
        );
        // A sine of amplitude A comes to a power of (A·BLOCK/2)² and an energy of A²·BLOCK/2.
        const SCALE: f32 = (BLOCK * BLOCK / 4) as f32;
        let row_power = row.power() / SCALE / seen(turns.0, ROWS[place.0]);
        let column_power = column.power() / SCALE / seen(turns.1, COLUMNS[place.1]);
        let share = (row_power + column_power) * (BLOCK / 2) as f32 / energy;
        let hit = row_power >= LEAST_POWER && column_power >= LEAST_POWER && share >= LEAST_SHARE;
        hit.then_some(Hit { place, turns, powers: (row_power, column_power), share })
    }

    /// Follows keys through the blocks.
    fn judge(&mut self, hit: Option<Hit>, told: &mut Vec<KeyEvent>) {
        self.candidate = hit.map(|hit| match self.candidate {
            Some(before) if before.is_continued_by(&hit) => before.joined_by(&hit),
            _ => Candidate {
                place: hit.place,
                hits: 1,
                since: self.position,
                turns: Default::default(),
                powers: hit.powers,
                share: hit.share,
            },
        });
        let heard = self.candidate.map(|candidate| key_at(candidate.place));
        if let Some(pressed) = &mut self.pressed {
            if heard == Some(pressed.key) {
                pressed.last = self.position;
                pressed.misses = 0;
                return;
            }
            pressed.misses += 1;
            if pressed.misses >= MISSES {
                self.release(told);
            }
        }
        if let Some(candidate) = self.candidate.filter(Candidate::is_key) {
            self.release(told);
            let key = key_at(candidate.place);
            self.pressed = Some(Pressed { key, first: candidate.since, last: self.position, misses: 0 });
            told.push(KeyEvent::Start(key));
        }
    }

    fn release(&mut self, told: &mut Vec<KeyEvent>) {
        if let Some(Pressed { key, first, last, .. }) = self.pressed.take() {
            // The first block to hit ends about as far behind the tone's start as the last lies before its end.
            let duration = Duration::from_micros((last - first + BLOCK as u64) * 125);
            told.push(KeyEvent::End { key, duration });
        }
    }
}

impl Candidate {
    /// The same key, and neither tone has slid nor swelled.
    fn is_continued_by(&self, hit: &Hit) -> bool {
        // The turn into the first block came from whatever was before it, and is not in the sum.
        let settled = self.hits > 1;
        let steady =
            |turn: Complex, sum: Complex| !settled || (turn * sum.conjugate()).angle().abs() <= STEADY;
        let level = |power: f32, sum: f32| {
            let mean = sum / self.hits as f32;
            power <= mean * LEVEL && mean <= power * LEVEL
        };
        self.place == hit.place
            && steady(hit.turns.0, self.turns.0)
            && steady(hit.turns.1, self.turns.1)
            && level(hit.powers.0, self.powers.0)
            && level(hit.powers.1, self.powers.1)
    }

    fn joined_by(self, hit: &Hit) -> Self {
        let turns = (self.turns.0 + hit.turns.0, self.turns.1 + hit.turns.1);
        let powers = (self.powers.0 + hit.powers.0, self.powers.1 + hit.powers.1);
        Self { hits: self.hits + 1, turns, powers, share: self.share + hit.share.min(1.0), ..self }
    }

    /// Long enough, and both tones on frequency.
    fn is_key(&self) -> bool {
        let (row, column) = self.place;
        let off =
            (self.turns.0.angle() / turn_of(ROWS[row]), self.turns.1.angle() / turn_of(COLUMNS[column]));
        let share = if (off.0 - off.1).abs() > SKEW { CLEAN_SHARE } else { MEAN_SHARE };
        self.hits >= HITS
            && self.share >= share * self.hits as f32
            && self.powers.0 <= self.powers.1 * ROW_OVER_COLUMN
            && self.powers.1 <= self.powers.0 * COLUMN_OVER_ROW
            && off.0.abs() <= TOLERANCE
            && off.1.abs() <= TOLERANCE
    }
}

/// The turn of a tone from block to block, in radians.
fn turn_of(frequency: f32) -> f32 {
    TAU * frequency * HOP as f32 / 8000.0
}

/// The part of a tone's power that its filter sees, given the turn that says how far off its frequency it is.
fn seen(turn: Complex, frequency: f32) -> f32 {
    let widest = turn_of(frequency) * TOLERANCE;
    let half_turn_of_block = turn.angle().clamp(-widest, widest) * (BLOCK / HOP) as f32 / 2.0;
    if half_turn_of_block.abs() < 1e-3 {
        return 1.0;
    }
    (half_turn_of_block.sin() / half_turn_of_block).powi(2)
}

/// The index of the strongest of a group, if it stands out.
fn strongest(powers: &[f32]) -> Option<usize> {
    let (best, power) = powers.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1))?;
    let stands_out = |(n, other): (usize, &f32)| n == best || other * LEAST_PEAK <= *power;
    powers.iter().enumerate().all(stands_out).then_some(best)
}

fn key_at((row, column): (usize, usize)) -> Key {
    Key::from_char(char::from(PAD[4 * row + column])).unwrap_or(Key(0))
}

/// Eight Goertzel filters, rows then columns.
#[derive(Clone, Debug)]
struct Bank {
    /// 2 cos ω of each.
    coefficient: [f32; 8],
    /// e^jω of each.
    step: [Complex; 8],
    /// e^jω·HOP of each.
    hop: [Complex; 8],
    /// What a block's row filter sees of a tone in a column, as a part of what that column's own filter sees.
    leak: [[Complex; 4]; 4],
}

impl Bank {
    fn new() -> Self {
        let step = |n: usize| TAU * if n < 4 { ROWS[n] } else { COLUMNS[n - 4] } / 8000.0;
        Self {
            coefficient: std::array::from_fn(|n| 2.0 * step(n).cos()),
            step: std::array::from_fn(|n| Complex::of_angle(step(n))),
            hop: std::array::from_fn(|n| Complex::of_angle(step(n) * HOP as f32)),
            leak: std::array::from_fn(|row| std::array::from_fn(|column| leak(step(4 + column) - step(row)))),
        }
    }

    /// The outputs of a row and a column filter, each without what it sees of the other's tone: two equations in two
    /// unknowns. Right as far as the tones are on frequency.
    fn apart(&self, (row, column): (usize, usize), block: &[Complex; 8]) -> (Complex, Complex) {
        let leak = self.leak[row][column];
        let scale = 1.0 / (1.0 - leak.power());
        let (row, column) = (block[row], block[4 + column]);
        (
            (row + (leak * column).scaled(-1.0)).scaled(scale),
            (column + (leak.conjugate() * row).scaled(-1.0)).scaled(scale),
        )
    }

    fn filter(&self, samples: &[i16; HOP]) -> Third {
        let energy: i64 = samples.iter().map(|&sample| i64::from(sample) * i64::from(sample)).sum();
        // Two tones of the least level come to twice the power of one; a third of a block that is 9 dB below that could
        // not be part of a key, and silence costs nothing.
        if (energy as f32) < LEAST_POWER * HOP as f32 / 8.0 {
            return Third { energy: energy as f32, ..Third::default() };
        }
        let (mut last, mut before_last) = ([0f32; 8], [0f32; 8]);
        for &sample in samples {
            let sample = f32::from(sample);
            for n in 0..8 {
                let value = sample + self.coefficient[n] * last[n] - before_last[n];
                before_last[n] = last[n];
                last[n] = value;
            }
        }
        let output = |n: usize| Complex {
            re: last[n] - before_last[n] * self.step[n].re,
            im: before_last[n] * self.step[n].im,
        };
        Third { energy: energy as f32, outputs: std::array::from_fn(output) }
    }
}

/// The mean of a phasor that turns by −`step` from sample to sample back through a block.
fn leak(step: f32) -> Complex {
    let sum = (0..BLOCK).fold(Complex::default(), |sum, n| sum + Complex::of_angle(-step * n as f32));
    sum.scaled(1.0 / BLOCK as f32)
}
