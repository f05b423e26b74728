//! Recordings in all their formats, judged by programs of others: when they have ended, and when the server was killed
//! in the middle of them.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::time::Instant;

use offhook_client::wire::RecordStart;
use offhook_tests::app::App;
use offhook_tests::caller::Caller;
use offhook_tests::judge::{self, Verdict};
use offhook_tests::server::Server;
use offhook_tests::wait::PATIENCE;
use offhook_tests::wav::Signal;
use tokio::task::JoinSet;

/// A format of the API (`call-api.md` §4, record_start), as others know it.
struct Format {
    /// Its number in the API.
    number: u32,
    /// How the names of its files end.
    end: &'static str,
    /// FFmpeg's name of its coding.
    codec: &'static str,
    /// FFmpeg's samples per second of it: Opus is at 48 kHz to its decoders, whatever was encoded (RFC 7845 §5.1).
    rate: u32,
    /// SoX's name of its coding, where SoX reads it.
    sox: Option<&'static str>,
    /// Bytes of a sample, where Python's `wave` reads it.
    python: Option<&'static str>,
}

const FORMATS: [Format; 8] = [
    format(1, "wav", "pcm_u8", 8000, Some("Unsigned Integer PCM"), Some("1")),
    format(2, "wav", "pcm_alaw", 8000, Some("A-law"), None),
    format(3, "wav", "pcm_mulaw", 8000, Some("u-law"), None),
    format(4, "wav", "adpcm_ima_wav", 8000, Some("IMA ADPCM"), None),
    format(5, "wav", "gsm_ms", 8000, Some("GSM"), None),
    format(6, "mp3", "mp3", 24_000, None, None),
    format(7, "wav", "pcm_s16le", 8000, Some("Signed Integer PCM"), Some("2")),
    format(8, "opus", "opus", 48_000, None, None),
];

const fn format(
    number: u32,
    end: &'static str,
    codec: &'static str,
    rate: u32,
    sox: Option<&'static str>,
    python: Option<&'static str>,
) -> Format {
    Format { number, end, codec, rate, sox, python }
}

/// How far a length may be off: the last block of a coding that has blocks is filled up, of IMA ADPCM 505 samples of 8 kHz,
/// of GSM two blocks of 320.
const LENGTH_MS: u64 = 80;

/// What a kill may cost at most, of what had been said (`reliability.md` G9).
const LOST_MS: u64 = 500;

impl Format {
    fn file(&self) -> String {
        format!("format-{}.{}", self.number, self.end)
    }

    /// All that can open a file of this format say what it is; it is decoded to its end, as loud as what was said.
    /// Gives the lengths that they know: the file of an MP3 tells none (ffprobe counts the encoder's delay with it,
    /// libsndfile guesses by the first frame as long as no Info frame is written), so what was decoded counts there.
    fn judge(&self, path: &Path, said: &Signal) -> Vec<(&'static str, u64)> {
        let mut lengths = Vec::new();
        let mut hold = |judge, verdict: Verdict, codec: &str, rate| {
            assert_eq!(
                (verdict.codec.as_str(), verdict.rate),
                (codec, rate),
                "{judge} on {}",
                path.display()
            );
            println!("{judge} on {}: {verdict:?}", path.display());
            lengths.push((judge, verdict.milliseconds));
        };
        hold("ffprobe", judge::ffprobe(path), self.codec, self.rate);
        // libsndfile tells the rate that Opus was encoded from.
        hold("sndfile-info", judge::sndfile(path), "", if self.codec == "opus" { 8000 } else { self.rate });
        if let Some(encoding) = self.sox {
            hold("soxi", judge::soxi(path), encoding, self.rate);
        }
        if let Some(bytes) = self.python {
            hold("python", judge::python(path), bytes, self.rate);
        }
        if self.codec == "mp3" {
            lengths.clear();
        }
        // The byte that evens out an odd number of GSM's blocks is told as audio, as SoX does it; FFmpeg decodes all before
        // it, and complains about that byte. So SoX decodes those.
        let heard = if self.codec == "gsm_ms" { Signal::read(path) } else { judge::heard(path) };
        let louder = heard.level_db() - said.level_db();
        println!("decoded {}: {} ms, {louder} dB", path.display(), heard.milliseconds());
        assert!(louder.abs() < 3.0, "{}: louder than what was said by {louder} dB", path.display());
        lengths.push(("decoded", heard.milliseconds()));
        lengths
    }
}

/// A call for each format, with its recording begun.
async fn record_all(server: &Server, app: &mut App) -> Vec<Caller> {
    let mut callers = Vec::new();
    for _ in &FORMATS {
        callers.push(Caller::answered(server, app).await);
    }
    for (format, caller) in FORMATS.iter().zip(&callers) {
        let start = RecordStart {
            res_id: caller.res_id.clone(),
            max_seconds: 20,
            record_file: format.file(),
            record_format: format.number,
            finish_keys: "#".into(),
            ..Default::default()
        };
        app.client.record_start(&start).await.unwrap_or_else(|error| panic!("{}: {error}", format.file()));
    }
    callers
}

/// All of them say it at the same time, and press `keys` after it.
async fn all_say(callers: Vec<Caller>, said: &Signal, keys: &'static str) -> Vec<Caller> {
    let mut talks = JoinSet::new();
    for (place, mut caller) in callers.into_iter().enumerate() {
        let said = said.clone();
        talks.spawn(async move {
            let media = caller.media;
            caller.rtp.speak(&said, media).await;
            caller.rtp.press(keys, media).await;
            (place, caller)
        });
    }
    let mut callers = talks.join_all().await;
    callers.sort_by_key(|(place, _)| *place);
    callers.into_iter().map(|(_, caller)| caller).collect()
}

#[tokio::test]
async fn the_programs_of_others_open_recordings_of_all_formats() {
    let server = Server::start("judged").await;
    let mut app = App::connect(&server).await;
    let said = Signal(Signal::read(&server.prompt("welcome.wav")).0[..12_000].to_vec());
    let callers = record_all(&server, &mut app).await;
    let callers = all_say(callers, &said, "#").await;
    for (format, caller) in FORMATS.iter().zip(&callers) {
        let recorded = app.recorded(&caller.res_id).await;
        assert_eq!((recorded.finish_key.as_deref(), recorded.error.as_ref()), (Some("#"), None));
        let path = server.recording(&format.file());
        println!("{}: {} ms", path.display(), recorded.duration_ms);
        for (judge, length) in format.judge(&path, &said) {
            let off = length.abs_diff(recorded.duration_ms);
            assert!(off <= LENGTH_MS, "{judge}: {length} ms, and {recorded:?}");
        }
        caller.hang_up().await;
        app.released(&caller.res_id).await;
    }
    app.check_order();
}

/// `reliability.md` D1: a file is valid at every moment, however the process ends.
#[tokio::test]
async fn recordings_survive_a_kill_of_the_server() {
    let mut server = Server::start("killed").await;
    let mut app = App::connect(&server).await;
    let said = Signal::read(&server.prompt("welcome.wav"));
    let callers = record_all(&server, &mut app).await;
    let begun = Instant::now();
    let callers = all_say(callers, &said, "").await;
    let recorded = u64::try_from(begun.elapsed().as_millis()).expect("some seconds");
    server.kill();
    let status = server.end(PATIENCE).await;
    assert_eq!(status.signal(), Some(9), "{status}");
    drop(callers);
    println!("killed after {recorded} ms");

    for format in &FORMATS {
        let path = server.recording(&format.file());
        for (judge, length) in format.judge(&path, &said) {
            assert!(
                length + LOST_MS >= recorded,
                "{judge}: {length} ms of {recorded} ms in {}",
                path.display()
            );
        }
    }
}
