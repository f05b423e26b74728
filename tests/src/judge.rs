//! Programs of others that open a recording and say what it is. What one of them says on its error stream, or an exit
//! with anything but 0, is a failure: a player that repairs a file in silence is not among them.

use std::path::Path;
use std::process::Command;

use crate::wav::Signal;

/// What a program says of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Its name for the coding; empty where it was not asked.
    pub codec: String,
    /// Samples per second.
    pub rate: u32,
    /// How long the file is.
    pub milliseconds: u64,
}

impl Verdict {
    /// From its coding, its samples per second, and its length in seconds.
    fn new(codec: &str, rate: &str, seconds: &str) -> Self {
        let read =
            |what: &str| what.parse::<f64>().unwrap_or_else(|_| panic!("a number instead of {what:?}"));
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "lengths of seconds")]
        let milliseconds = (read(seconds) * 1000.0).round() as u64;
        let rate = rate.parse().unwrap_or_else(|_| panic!("a rate instead of {rate:?}"));
        Self { codec: codec.to_owned(), rate, milliseconds }
    }
}

/// FFmpeg, of any format.
pub fn ffprobe(path: &Path) -> Verdict {
    let entries = "stream=codec_name,sample_rate:format=duration";
    let said = ask("ffprobe", &["-v", "error", "-show_entries", entries, "-of", "default=nw=1"], path);
    Verdict::new(value(&said, "codec_name="), value(&said, "sample_rate="), value(&said, "duration="))
}

/// SoX, of the formats in WAV.
pub fn soxi(path: &Path) -> Verdict {
    let [codec, rate, seconds] = ["-e", "-r", "-D"].map(|what| ask("soxi", &[what], path));
    Verdict::new(codec.trim(), rate.trim(), seconds.trim())
}

/// Python's `wave`, of linear PCM in WAV: it counts the samples that it read, not those that the head promises.
pub fn python(path: &Path) -> Verdict {
    const READ: &str = "import sys, wave
file = wave.open(sys.argv[1])
promised, size = file.getnframes(), file.getsampwidth() * file.getnchannels()
read = len(file.readframes(promised)) // size
assert read == promised, (read, promised)
print(size, file.getframerate(), read / file.getframerate())";
    let said = ask("python3", &["-c", READ], path);
    let words: Vec<&str> = said.split_whitespace().collect();
    Verdict::new(words[0], words[1], words[2])
}

/// libsndfile, of any format.
pub fn sndfile(path: &Path) -> Verdict {
    let said = ask("sndfile-info", &[], path);
    // `Duration    : 00:00:01.500`
    let [hours, minutes, seconds] = value(&said, "Duration    : ")
        .split(':')
        .map(|part| part.parse::<f64>().expect("a part of a time"))
        .collect::<Vec<_>>()[..]
    else {
        panic!("no time in {said}")
    };
    let seconds = (hours * 60.0 + minutes) * 60.0 + seconds;
    Verdict::new("", value(&said, "Sample Rate : "), &seconds.to_string())
}

/// What others make of a signal: encoded by FFmpeg as `arguments` say, into a file with this ending, and heard again.
/// Written beside `path`.
pub fn through_another_encoder(said: &Signal, arguments: &[&str], ending: &str, path: &Path) -> Signal {
    let from = path.with_extension("said.wav");
    said.write(&from);
    let to = path.with_extension(format!("others.{ending}"));
    let input = from.to_str().expect("a plain name");
    let encode = [&["-v", "error", "-y", "-i", input][..], arguments].concat();
    ask("ffmpeg", &encode, &to);
    heard(&to)
}

/// What FFmpeg hears in a file of any format.
pub fn heard(path: &Path) -> Signal {
    let pcm = path.with_extension("heard.wav");
    let to = pcm.to_str().expect("a plain name");
    let from = path.to_str().expect("a plain name");
    let decode = ["-v", "error", "-y", "-i", from, "-ac", "1", "-ar", "8000", "-c:a", "pcm_s16le"];
    ask("ffmpeg", &decode, Path::new(to));
    Signal::read(&pcm)
}

/// Runs a program on a file; gives what it prints.
fn ask(program: &str, arguments: &[&str], path: &Path) -> String {
    let output = Command::new(program).args(arguments).arg(path).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && errors.is_empty(),
        "{program} on {}: {}\n{said}{errors}",
        path.display(),
        output.status
    );
    said
}

/// The rest of the first line that begins so.
fn value<'a>(said: &'a str, begin: &str) -> &'a str {
    let found = said.lines().find_map(|line| line.strip_prefix(begin));
    found.unwrap_or_else(|| panic!("no {begin:?} in\n{said}")).trim()
}
