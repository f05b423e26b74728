//! Whether a member makes any sound, whether that is a voice, and whether it talks: the level of its frames against that of its
//! background.
//!
//! ```text
//!   level of a frame ─▶ above the noise of an idle line ─▶ sounding, from that frame to 300 ms after the last
//!   level of a frame ─▶ the least of the last 1–2 s: background
//!                       9 dB above it, or loud anyway: voice ─▶ a voice, from that frame to 300 ms after the last
//!                                                           └─▶ talking, after 100 ms of voice, to 600 ms after the last
//!   least and most of the last 240–480 ms, within 4.5 dB: a noise or a tone, heard if it is loud, but no talk
//! ```
//! Levels are mean squares of samples; dB are relative to full scale, where a sine of full scale has -3. Speech in the
//! telephone network lies at -20 to -30 dB.

/// Below -55 dB nothing is voice: the noise of the codec and the line.
const LEAST_VOICE: f32 = 3_400.0;
/// Above -36 dB anything is, however constant: a melody is no background.
const LOUD: f32 = 270_000.0;
/// Voice is this much above the background: 9 dB.
const ABOVE: f32 = 8.0;
/// The background before one is known: it lets pass what is above -45 dB.
const FIRST_BACKGROUND: f32 = 4_250.0;
/// The background of a stream that has paused or suppresses its silence, and is not known to have one: what comes is a voice.
const NO_BACKGROUND: f32 = 0.0;
/// Noise of an idle line: -65 dBm0 (G.712), which is -68 dB. Below it there is nothing to hear.
const IDLE_LINE: f32 = 165.0;
/// Below -70 dB a frame is such a pause.
const NOTHING: f32 = 100.0;
/// Frames in which what is even is known as such, 240 ms: syllables swell and fade in them.
const EVEN_FRAMES: u32 = 12;
/// How much the levels of what is even differ at most, 4.5 dB: those of noise do by three.
const EVEN: f32 = 2.8;
/// The stretch in which the least level is looked for, 1 s: people take breath more often.
const WINDOW_FRAMES: u32 = 50;
/// How long a member is heard after its last frame of voice or of sound, 300 ms: ends of words are soft, and pauses within a
/// sentence shorter.
const AUDIBLE_FRAMES: u32 = 15;
/// Voice that begins a talk, 100 ms: no click or cough.
const TALK_BEGINS: u32 = 5;
/// Frames after the last one of voice in which a talk ends, 600 ms: a breath is no end.
const TALK_ENDS: u32 = 30;
/// How a loudness fades: to half its power in 140 ms, so that it is that of syllables rather than of vowels.
const FADE: f32 = 0.906;

/// No level yet.
const NO_RANGE: (f32, f32) = (f32::INFINITY, 0.0);

/// What is known of one member's voice.
#[derive(Clone, Debug)]
pub(super) struct Talk {
    /// The least levels of this window and of the one before.
    least: [f32; 2],
    /// Frames of this window.
    frames: u32,
    /// The least and the most of the last [`EVEN_FRAMES`] and of those before.
    range: [(f32, f32); 2],
    loudness: f32,
    /// Frames since the last of voice, and since the last of one that is not even.
    since: u32,
    since_talk: u32,
    /// Frames since the last in which there was anything to hear.
    since_sound: u32,
    /// Frames of voice since the member became audible, or was even.
    voice: u32,
    is_talking: bool,
}

impl Talk {
    pub(super) fn new() -> Self {
        Self {
            least: [f32::INFINITY, FIRST_BACKGROUND],
            frames: 0,
            // Nothing is even yet.
            range: [(0.0, f32::INFINITY); 2],
            loudness: 0.0,
            since: AUDIBLE_FRAMES,
            since_talk: TALK_ENDS,
            since_sound: AUDIBLE_FRAMES,
            voice: 0,
            is_talking: false,
        }
    }

    /// Takes the level of the next frame. Tells when a talk begins (`true`) or ends.
    pub(super) fn hear(&mut self, level: f32) -> Option<bool> {
        self.loudness = level.max(self.loudness * FADE);
        let is_voice = level > LEAST_VOICE && (level > ABOVE * self.background() || level > LOUD);
        self.watch(level);
        self.since_sound = if level > IDLE_LINE { 0 } else { self.since_sound.saturating_add(1) };
        self.since = if is_voice { 0 } else { self.since.saturating_add(1) };
        let is_even = self.is_even();
        if is_voice && !is_even {
            (self.since_talk, self.voice) = (0, self.voice + 1);
        } else {
            self.since_talk = self.since_talk.saturating_add(1);
            if is_even || !self.is_audible() {
                self.voice = 0;
            }
        }
        let talks = if self.is_talking { self.since_talk < TALK_ENDS } else { self.voice >= TALK_BEGINS };
        (talks != self.is_talking).then(|| {
            self.is_talking = talks;
            talks
        })
    }

    /// Whether there is anything to hear of the member.
    pub(super) fn is_sounding(&self) -> bool {
        self.since_sound < AUDIBLE_FRAMES
    }

    /// Whether a voice is to be heard of it.
    pub(super) fn is_audible(&self) -> bool {
        self.since < AUDIBLE_FRAMES
    }

    pub(super) fn is_talking(&self) -> bool {
        self.is_talking
    }

    /// How loud the member is at the moment, as power.
    pub(super) fn loudness(&self) -> f32 {
        self.loudness
    }

    fn background(&self) -> f32 {
        self.least[0].min(self.least[1])
    }

    fn is_even(&self) -> bool {
        let [(least, most), (least_before, most_before)] = self.range;
        most.max(most_before) <= EVEN * least.min(least_before)
    }

    fn watch(&mut self, level: f32) {
        if level > NOTHING {
            self.least[0] = self.least[0].min(level);
        } else if self.least == [f32::INFINITY, FIRST_BACKGROUND] {
            self.least[1] = NO_BACKGROUND;
        }
        if self.frames.is_multiple_of(EVEN_FRAMES) {
            self.range = [NO_RANGE, self.range[0]];
        }
        self.range[0] = (self.range[0].0.min(level), self.range[0].1.max(level));
        self.frames += 1;
        if self.frames == WINDOW_FRAMES {
            self.frames = 0;
            // A window in which nothing came says nothing about the background.
            if self.least[0].is_finite() {
                self.least = [f32::INFINITY, self.least[0]];
            }
        }
    }
}

/// The level of a frame: the mean square of its samples.
#[expect(clippy::cast_precision_loss, reason = "a level needs no more digits")]
pub(super) fn level(frame: &[i16]) -> f32 {
    // Eight sums, so that eight samples are looked at together.
    let (blocks, rest) = frame.as_chunks::<8>();
    let mut sums = [0.0f32; 8];
    for block in blocks {
        for (sum, &sample) in sums.iter_mut().zip(block) {
            *sum += square(sample);
        }
    }
    let rest = rest.iter().map(|&sample| square(sample)).sum::<f32>();
    (sums.iter().sum::<f32>() + rest) / frame.len().max(1) as f32
}

fn square(sample: i16) -> f32 {
    f32::from(sample) * f32::from(sample)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The mean square at a level in dB.
    fn at(decibels: f32) -> f32 {
        32_768.0f32.powi(2) * 10f32.powf(decibels / 10.0)
    }

    /// So many frames at each level; one character a frame: `.` inaudible, `a` audible, `T` talking.
    fn draw(talk: &mut Talk, parts: &[(f32, usize)]) -> String {
        let mut drawn = String::new();
        for &(decibels, frames) in parts {
            for _ in 0..frames {
                let before = talk.is_talking();
                let told = talk.hear(at(decibels));
                assert_eq!(told, (before != talk.is_talking()).then_some(talk.is_talking()));
                drawn.push(match (talk.is_talking(), talk.is_audible()) {
                    (true, _) => 'T',
                    (false, true) => 'a',
                    (false, false) => '.',
                });
            }
        }
        drawn
    }

    #[test]
    fn levels_are_mean_squares() {
        assert!((level(&[100, -100, 100, -100]) - 10_000.0).abs() < 0.1);
        assert!((level(&[i16::MIN; 960]) / at(0.0) - 1.0).abs() < 1e-6);
        assert!(level(&[]).abs() < 1e-9);
    }

    #[test]
    fn the_first_frame_is_heard_and_the_fifth_is_a_talk() {
        let drawn = draw(&mut Talk::new(), &[(-90.0, 3), (-25.0, 10), (-90.0, 40)]);
        assert_eq!(drawn, format!("...aaaa{}{}", "T".repeat(6 + 29), ".".repeat(11)));
    }

    #[test]
    fn a_click_is_heard_and_is_no_talk() {
        let drawn = draw(&mut Talk::new(), &[(-20.0, 2), (-90.0, 20)]);
        assert_eq!(drawn, format!("aa{}{}", "a".repeat(14), ".".repeat(6)));
    }

    #[test]
    fn pauses_between_words_end_nothing() {
        let mut talk = Talk::new();
        for _ in 0..20 {
            draw(&mut talk, &[(-24.0, 12), (-60.0, 14)]);
            assert!(talk.is_audible() && talk.is_talking());
        }
    }

    #[test]
    fn a_constant_noise_is_background_after_two_seconds() {
        let mut talk = Talk::new();
        draw(&mut talk, &[(-42.0, 120)]);
        assert_eq!(draw(&mut talk, &[(-42.0, 50)]), ".".repeat(50));
        // A voice above it is heard, one within it is not.
        assert_eq!(draw(&mut talk, &[(-38.0, 3), (-31.0, 1)]), "...a");
    }

    #[test]
    fn what_is_loud_is_heard_however_constant_but_is_no_talk() {
        let mut talk = Talk::new();
        let drawn = draw(&mut talk, &[(-30.0, 500)]);
        assert!(drawn.starts_with("aaaaT") && !drawn[60..].contains('T'), "{drawn}");
        assert_eq!(draw(&mut talk, &[(-30.0, 50)]), "a".repeat(50));
        // A voice over it is one: 100 ms after it has become uneven.
        let drawn = draw(&mut talk, &[(-20.0, 4), (-28.0, 4), (-20.0, 4)]);
        assert_eq!(drawn, "aaaaTTTTTTTT");
    }

    /// Of who suppresses silence the softest parts of speech are heard; what its noise is is learnt when it has one.
    #[test]
    fn a_soft_voice_is_heard_where_there_is_nothing_else() {
        let mut talk = Talk::new();
        assert_eq!(draw(&mut talk, &[(-90.0, 3), (-54.0, 3)]), "...aaa");
        let drawn = draw(&mut talk, &[(-50.0, 200)]);
        assert!(drawn.ends_with(&".".repeat(50)), "{drawn}");
    }

    /// -65 dBm0 is -68 dB.
    #[test]
    fn all_but_the_noise_of_an_idle_line_is_a_sound() {
        let mut talk = Talk::new();
        assert!(!talk.is_sounding());
        for (decibels, frames, sounds) in
            [(-90.0, 5, false), (-69.0, 5, false), (-67.0, 1, true), (-69.0, 14, true), (-69.0, 1, false)]
        {
            draw(&mut talk, &[(decibels, frames)]);
            assert_eq!(talk.is_sounding(), sounds, "{decibels}");
        }
        // However long it lasts.
        draw(&mut talk, &[(-60.0, 500)]);
        assert!(talk.is_sounding() && !talk.is_audible());
    }

    #[test]
    fn a_paused_stream_is_no_background() {
        let mut talk = Talk::new();
        draw(&mut talk, &[(-42.0, 120), (-90.0, 300)]);
        assert_eq!(draw(&mut talk, &[(-42.0, 50)]), ".".repeat(50));
    }

    #[test]
    fn a_noise_that_ends_lets_soft_voices_through() {
        let mut talk = Talk::new();
        draw(&mut talk, &[(-40.0, 120), (-65.0, 60)]);
        assert_eq!(draw(&mut talk, &[(-50.0, 1)]), "a");
    }
}
