//! Files that lie (row A9), as far as a request comes: what is answered, what is heard, and how much of the file is read.

use offhook_call::prompt::Language;

use super::tests::{Temp, file, play};
use super::*;
use crate::call_log::testing::{said, whose};

/// A WAV file with a header that claims what it will, before 800 samples of eight bits.
fn wav(rate: u32, channels: u16, data: u32) -> Vec<u8> {
    let mut bytes = b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0\x01\0".to_vec();
    bytes.extend(channels.to_le_bytes());
    bytes.extend(rate.to_le_bytes());
    bytes.extend(rate.wrapping_mul(u32::from(channels)).to_le_bytes());
    bytes.extend(channels.to_le_bytes());
    bytes.extend(b"\x08\0data");
    bytes.extend(data.to_le_bytes());
    bytes.extend([0xa0; 800]);
    bytes
}

fn with(temp: &Temp, name: &str, bytes: &[u8]) {
    std::fs::write(temp.0.join(name), bytes).unwrap();
}

#[track_caller]
fn refused(prompts: &Prompts, name: &str) {
    let (found, cold) = prompts.find(&whose(), &[file(name)], Codec::Pcmu);
    assert_eq!(found.unwrap_err(), PromptFault { fault: FileFault::Unsupported, source: file(name) });
    assert!(cold.is_empty());
}

#[test]
fn a9_a_file_is_as_long_as_its_bytes_go_whatever_it_claims() {
    let temp = Temp::new("a9-length");
    let prompts = temp.prompts(1 << 20);
    let ds64 = |data: u64| {
        let mut bytes = b"RF64\xff\xff\xff\xffWAVEds64\x1c\0\0\0".to_vec();
        for size in [u64::MAX, data, u64::MAX] {
            bytes.extend(size.to_le_bytes());
        }
        bytes.extend([0; 4]);
        bytes.extend(&wav(8000, 1, u32::MAX)[12..]);
        bytes
    };
    with(&temp, "4gb.wav", &wav(8000, 1, u32::MAX - 1));
    with(&temp, "16eb.wav", &ds64(u64::MAX));
    with(&temp, "1tb.wav", &ds64(1 << 40));
    // All ones are no claim; a terabyte is one that the file does not keep.
    for (name, is_cut_short) in [("4gb.wav", false), ("16eb.wav", false), ("1tb.wav", true)] {
        let (found, _) = play(&prompts, &[name]);
        assert_eq!(found[0].is_cut_short(), is_cut_short, "{name}");
        let (length, bytes) = (found[0].duration(), found[0].bytes());
        assert_eq!((length, bytes), (Duration::from_millis(100), 800), "{name}");
    }
    assert_eq!(prompts.bytes.load(Ordering::Relaxed), 3 * 800);
}

#[test]
fn what_is_wrong_with_a_prompt_is_told_by_the_names_of_the_call() {
    let temp = Temp::new("names");
    let prompts = temp.prompts(1 << 20);
    with(&temp, "short.wav", &wav(8000, 1, 1 << 20));
    with(&temp, "none.wav", b"RIFF");
    let text = Speech { text: "Good day".to_owned(), language: Language::En, voice: None };
    let lines = said(|| {
        play(&prompts, &["short.wav"]);
        refused(&prompts, "none.wav");
        let (found, _) = prompts.find(&whose(), &[Sound::Speech(text).into()], Codec::Pcmu);
        assert_eq!(found.unwrap_err().fault, FileFault::Unspoken);
    });
    let nobody = "WARN a text cannot be spoken: there is nobody who speaks (speech.provider, speech.command)";
    assert_eq!(lines, ["WARN a prompt ends before its file does", "DEBUG no prompt", nobody]);
}

#[test]
fn a9_rates_and_channels_beyond_reason_are_refused() {
    let temp = Temp::new("a9-rates");
    let prompts = temp.prompts(1 << 20);
    for (n, (rate, channels)) in
        [(0, 1), (1, 1), (u32::MAX, 1), (768_000, 1), (8000, 0), (8000, 9), (8000, u16::MAX)]
            .into_iter()
            .enumerate()
    {
        let name = format!("{n}.wav");
        with(&temp, &name, &wav(rate, channels, 800));
        refused(&prompts, &name);
    }
}

/// Chunks that lead nowhere: of no length, one behind the other; longer than all that there is; and of an odd length at
/// the end of everything. So do files of nothing, which the disk hardly holds.
#[test]
fn a9_chunks_that_go_in_circles_and_files_of_nothing_are_given_up() {
    let temp = Temp::new("a9-loops");
    let prompts = temp.prompts(1 << 20);
    let riff = b"RIFF\0\0\0\0WAVE".as_slice();
    let none = b"junk\0\0\0\0".repeat(4 << 20);
    with(&temp, "none.wav", &[riff, &none].concat());
    with(&temp, "long.wav", &[riff, b"junk\xff\xff\xff\xff"].concat());
    with(&temp, "odd.wav", &[riff, b"junk\x01\0\0\0"].concat());
    for name in ["none.wav", "long.wav", "odd.wav"] {
        refused(&prompts, name);
    }
    for (name, head) in
        [("a.wav", riff), ("a.mp3", b"ID3\x04\0\0\0\0\0\0"), ("a.flac", b"fLaC"), ("a.ogg", b"OggS")]
    {
        with(&temp, name, head);
        std::fs::File::options().write(true).open(temp.0.join(name)).unwrap().set_len(8 << 30).unwrap();
        refused(&prompts, name);
    }
}
