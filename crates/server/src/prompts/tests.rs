//! What is kept, for how long, and what is not.

use offhook_call::prompt::Language;
use offhook_call::{DiskEvent, JobId};
use offhook_media::event::Chunk;
use offhook_media::event::RecordFormat;
use offhook_media::file::{RecordSpec, Writer};
use tokio::sync::mpsc;

use super::*;
use crate::call_log::testing::whose;
use crate::input::Input;

/// A folder of its own for each test, removed at its end.
pub(super) struct Temp(pub(super) std::path::PathBuf);

impl Temp {
    pub(super) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("offhook-prompts-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(super) fn prompts(&self, keep_bytes: usize) -> Prompts {
        Prompts::new(Directory::open(&self.0).unwrap(), keep_bytes)
    }

    /// A WAV file of so many samples of one level.
    fn write(&self, name: &str, level: i16, samples: usize) {
        let mut writer = Writer::new(RecordSpec::new(RecordFormat::Pcm16, 8000, 1)).unwrap();
        let mut bytes = writer.begin();
        writer.push(&Chunk::Data { rate: 8000, channels: 1, samples: vec![level; samples] });
        let patch = writer.patch();
        bytes.extend(&patch.audio);
        bytes[..patch.header.len()].copy_from_slice(&patch.header);
        std::fs::write(self.0.join(name), bytes).unwrap();
    }
}

impl Drop for Temp {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub(super) fn file(name: &str) -> PromptSource {
    name.into()
}

/// Plays as the control loop does; how many had to be loaded.
#[track_caller]
pub(super) fn play(prompts: &Prompts, names: &[&str]) -> (Vec<Arc<Prompt>>, usize) {
    let files: Vec<_> = names.iter().map(|name| file(name)).collect();
    let (found, cold) = prompts.find(&whose(), &files, Codec::Pcmu);
    let loaded = cold.len();
    for mut cold in cold {
        while cold.decode(Duration::from_millis(500)) {}
        prompts.keep(cold);
    }
    (found.unwrap(), loaded)
}

#[test]
fn a_prompt_is_loaded_once_and_shared() {
    let temp = Temp::new("once");
    temp.write("a.wav", 1000, 8000);
    let prompts = temp.prompts(1 << 20);
    let (first, loaded) = play(&prompts, &["a.wav", "a.wav"]);
    assert_eq!((loaded, first[0].duration()), (1, Duration::from_secs(1)));
    let (second, loaded) = play(&prompts, &["a.wav"]);
    assert_eq!(loaded, 0);
    assert!(Arc::ptr_eq(&first[0], &second[0]) && Arc::ptr_eq(&first[1], &second[0]));
    // In another codec, and at another level, it is another prompt.
    let louder = PromptSource { gain_db: 6, ..file("a.wav") };
    assert_eq!(prompts.find(&whose(), &[louder], Codec::Pcmu).1.len(), 1);
    assert_eq!(prompts.find(&whose(), &[file("a.wav")], Codec::Pcma).1.len(), 1);
}

#[test]
fn a_ring_back_tone_is_one_turn_of_it_and_made_once() {
    let temp = Temp::new("tone");
    let prompts = temp.prompts(0);
    let tone = |country, codec| {
        let sound = Sound::RingBack(Country::from_code(country).unwrap());
        let (found, cold) = prompts.find(&whose(), &[sound.into()], codec);
        assert!(cold.is_empty());
        found.unwrap().remove(0)
    };
    // One second in five in China (GB/T 3380); 0.4, 0.2, 0.4 and 2 s of silence in Britain.
    let china = tone("cn", Codec::Pcmu);
    assert_eq!((china.duration(), china.codec()), (Duration::from_secs(5), Codec::Pcmu));
    assert_eq!(tone("gb", Codec::G722).duration(), Duration::from_secs(3));
    assert!(Arc::ptr_eq(&china, &tone("cn", Codec::Pcmu)));
}

#[test]
fn a_changed_file_is_picked_up_at_the_next_play() {
    let temp = Temp::new("changed");
    let prompts = temp.prompts(1 << 20);
    temp.write("a.wav", 1000, 8000);
    assert_eq!(play(&prompts, &["a.wav"]).0[0].duration(), Duration::from_secs(1));
    // Of another length; and of the same length under the same name, but another file.
    temp.write("a.wav", 1000, 4000);
    assert_eq!(play(&prompts, &["a.wav"]).0[0].duration(), Duration::from_millis(500));
    temp.write("b.wav", 5000, 4000);
    std::fs::rename(temp.0.join("b.wav"), temp.0.join("a.wav")).unwrap();
    assert_eq!(play(&prompts, &["a.wav"]).1, 1);
}

#[test]
fn the_cache_keeps_what_was_used_last_and_no_more_than_its_bytes() {
    let temp = Temp::new("bounded");
    for name in ["a.wav", "b.wav", "c.wav", "d.wav"] {
        temp.write(name, 1000, 8000);
    }
    let prompts = temp.prompts(3 * 8000);
    play(&prompts, &["a.wav", "b.wav", "c.wav"]);
    assert_eq!(play(&prompts, &["a.wav"]).1, 0);
    assert_eq!(play(&prompts, &["d.wav"]).1, 1);
    assert_eq!(prompts.bytes.load(Ordering::Relaxed), 24_000);
    assert_eq!(play(&prompts, &["c.wav", "a.wav", "d.wav"]).1, 0);
    assert_eq!(play(&prompts, &["b.wav"]).1, 1, "it was used longest ago");
    // One that is larger than all of it is played, and not kept.
    temp.write("long.wav", 1000, 30_000);
    let (long, loaded) = play(&prompts, &["long.wav"]);
    assert_eq!((loaded, long[0].duration()), (1, Duration::from_millis(3750)));
    assert!(prompts.bytes.load(Ordering::Relaxed) <= 24_000);
}

#[test]
fn a_file_is_checked_before_it_is_played() {
    let temp = Temp::new("checked");
    temp.write("a.wav", 1000, 8000);
    std::fs::write(temp.0.join("text.wav"), b"this is no audio").unwrap();
    std::fs::write(temp.0.join("empty.wav"), b"").unwrap();
    let prompts = temp.prompts(1 << 20);
    for (name, fault) in [
        ("missing.wav", FileFault::NotFound),
        ("text.wav", FileFault::Unsupported),
        ("empty.wav", FileFault::Empty),
        ("../a.wav", FileFault::Forbidden),
    ] {
        let wanted = PromptSource { item: Some(1), ..file(name) };
        let (found, cold) = prompts.find(&whose(), &[file("a.wav"), wanted.clone()], Codec::Pcmu);
        assert_eq!(found.unwrap_err(), PromptFault { fault, source: wanted });
        for mut cold in cold {
            assert!(!cold.decode(Duration::from_secs(2)));
            prompts.keep(cold);
        }
    }
    // What was found beside it is whole all the same.
    let (found, loaded) = play(&prompts, &["a.wav"]);
    assert_eq!((loaded, found[0].is_complete(), found[0].duration()), (0, true, Duration::from_secs(1)));
}

/// Listening is for people; a machine can tell that each word of the packs lasts as long as one, is as loud as the others,
/// has no silence around it, and is another one than the rest.
#[test]
fn the_packs_are_heard() {
    let packs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/prompts");
    for language in Language::ALL {
        let mut heard: Vec<(Vec<i16>, String)> = Vec::new();
        let table = std::fs::read_to_string(packs.join(language.code()).join("words.tsv")).unwrap();
        for (name, text) in table.lines().map(|line| line.split_once('\t').unwrap()) {
            let file = File::open(packs.join(language.code()).join(format!("{name}.wav"))).unwrap();
            let samples = offhook_media::file::decode(file, name).unwrap();
            let peak = |samples: &[i16]| samples.iter().map(|sample| sample.unsigned_abs()).max().unwrap();
            // 0.15 to 0.9 s; the loudest at -3 dB of 32,767 within a step of mu-law.
            assert!((1200..7200).contains(&samples.len()), "{language:?} {name}: {}", samples.len());
            assert!((22_000..24_600).contains(&peak(&samples)), "{language:?} {name}: {}", peak(&samples));
            let loud = samples.iter().filter(|sample| sample.unsigned_abs() > 1000).count();
            assert!(loud > samples.len() / 8, "{language:?} {name}: {loud} of {}", samples.len());
            for end in [&samples[..160], &samples[samples.len() - 160..]] {
                assert!(peak(end) > 60, "{language:?} {name}: {}", peak(end));
            }
            let same = heard.iter().find(|(others, _)| *others == samples);
            assert!(same.is_none_or(|(_, other)| other == text), "{language:?} {name}: as {same:?}");
            heard.push((samples, text.to_owned()));
        }
    }
}

/// The first part of a minute of MP3 is there after a small part of the work; see `PromptReader`'s own test for the bytes.
#[test]
fn a_prompt_can_be_heard_before_it_is_loaded() {
    let temp = Temp::new("streamed");
    let mp3 = include_bytes!("../../../../fixtures/audio/44k1-stereo.mp3");
    std::fs::write(temp.0.join("long.mp3"), mp3.repeat(120)).unwrap();
    let prompts = temp.prompts(1 << 20);
    let (found, mut cold) = prompts.find(&whose(), &[file("long.mp3")], Codec::Pcmu);
    let found = found.unwrap();
    assert_eq!((found[0].is_complete(), found[0].bytes()), (false, 0));
    let Cold { mut reader, mut writer, .. } = cold.remove(0);
    let (mut samples, mut steps) = (Vec::new(), 0);
    while found[0].bytes() == 0 {
        samples.clear();
        assert!(reader.read(&mut samples).unwrap());
        writer.push(&samples);
        steps += 1;
    }
    // Frames of 26 ms for a part of 200 ms, with the two that the decoder needs to begin.
    assert!(steps <= 10, "{steps}");
}

/// Asks the threads as the control loop does; the answers by their jobs.
fn ask(loaders: &mut Loaders, inputs: &mut mpsc::Receiver<Input>, names: &[&[&str]]) -> Vec<Found> {
    for (id, names) in (0..).zip(names) {
        let files = names.iter().map(|name| file(name)).collect();
        loaders.ask((JobId(id), whose()), files, Codec::Pcmu).unwrap();
    }
    let mut answers: Vec<(JobId, Found)> = Vec::new();
    while answers.len() < names.len() {
        match inputs.blocking_recv() {
            Some(Input::Disk(DiskEvent::Prompts { job, result })) => answers.push((job, result)),
            _ => panic!("not what was asked"),
        }
    }
    answers.sort_unstable_by_key(|&(job, _)| job);
    answers.into_iter().map(|(_, result)| result).collect()
}

/// Waits for a prompt's end; the threads need a moment for it.
fn end_of(prompt: &Prompt) -> Duration {
    while !prompt.is_complete() {
        std::thread::yield_now();
    }
    prompt.duration()
}

#[test]
fn threads_answer_every_question_and_decode_to_the_end() {
    let temp = Temp::new("threads");
    for (name, samples) in [("a.wav", 80_000), ("b.wav", 800), ("c.wav", 240_000)] {
        temp.write(name, 1000, samples);
    }
    let (sender, mut inputs) = mpsc::channel(8);
    let mut loaders = start(temp.prompts(1 << 20), &sender).unwrap();
    let answers =
        ask(&mut loaders, &mut inputs, &[&["c.wav", "b.wav"], &["none.wav"], &["a.wav"], &["c.wav"]]);
    let lengths = |answer: &Found| -> Vec<u128> {
        answer.as_ref().unwrap().iter().map(|prompt| end_of(prompt).as_millis()).collect()
    };
    assert_eq!(lengths(&answers[0]), [30_000, 100]);
    let missing = PromptFault { fault: FileFault::NotFound, source: file("none.wav") };
    assert_eq!(answers[1].as_ref().unwrap_err(), &missing);
    assert_eq!((lengths(&answers[2]), lengths(&answers[3])), (vec![10_000], vec![30_000]));
}

/// A thread that has no answers to give out any more takes no questions, and the rest is refused.
#[test]
fn no_more_questions_wait_than_may() {
    let temp = Temp::new("busy");
    temp.write("a.wav", 1000, 800);
    // Nobody takes the answers, so that the threads stand still.
    let (sender, inputs) = mpsc::channel(1);
    let mut loaders = start(temp.prompts(1 << 20), &sender).unwrap();
    let refused =
        (0..10_000).find_map(|id| loaders.ask((JobId(id), whose()), vec![file("a.wav")], Codec::Pcmu).err());
    let Some(PromptFault { fault: FileFault::Busy { limit }, .. }) = refused else { panic!("{refused:?}") };
    assert!((256..=1024).contains(&limit), "{limit}");
    drop(inputs);
}

/// Half a second of sound, and then nothing that sounds for longer than is looked for it.
#[test]
fn damage_in_the_middle_cuts_a_prompt_short_and_is_known_the_next_time() {
    let temp = Temp::new("damaged");
    let path = temp.0.join("damaged.mp3");
    std::fs::write(&path, include_bytes!("../../../../fixtures/audio/44k1-stereo.mp3")).unwrap();
    std::fs::File::options().write(true).open(&path).unwrap().set_len(32 << 20).unwrap();
    let prompts = temp.prompts(1 << 20);
    for loads in [1, 0] {
        let (found, loaded) = play(&prompts, &["damaged.mp3"]);
        assert_eq!((loaded, found[0].is_complete(), found[0].is_cut_short()), (loads, true, true));
        let heard = found[0].duration().as_millis();
        assert!((400..=600).contains(&heard), "{heard} ms");
    }
}

/// Every format that is read, for legs of every rate: as long as it is, to the millisecond.
#[test]
fn every_format_lasts_as_long_as_its_file() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures");
    let mut seen = 0;
    for (folder, usual) in [("wav", 200), ("audio", 500)] {
        let prompts = Prompts::new(Directory::open(&fixtures.join(folder)).unwrap(), 1 << 20);
        for entry in std::fs::read_dir(fixtures.join(folder)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if name.ends_with(".md") || name.ends_with(".sh") {
                continue;
            }
            let expected = if name == "96k-mono-f32.wav" { 100 } else { usual };
            for codec in [Codec::Pcmu, Codec::G722, Codec::L16Wide] {
                let (found, cold) = prompts.find(&whose(), &[file(&name)], codec);
                for mut cold in cold {
                    while cold.decode(Duration::from_millis(500)) {}
                    prompts.keep(cold);
                }
                let lasts = found.unwrap()[0].duration();
                let off = lasts.abs_diff(Duration::from_millis(expected));
                assert!(off < Duration::from_millis(1), "{name} in {codec:?}: {lasts:?}");
                seen += 1;
            }
        }
    }
    assert!(seen >= 90, "{seen}");
}
