//! Recordings in all their formats, judged by programs of others: when they have ended, and when the server was killed
//! in the middle of them.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::time::{Duration, Instant};

use offhook_client::Event;
use offhook_client::wire::{EventKind, RecordStart};
use offhook_tests::app::App;
use offhook_tests::caller::Caller;
use offhook_tests::judge::{self, Verdict};
use offhook_tests::server::{self, Server, Setup};
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
    /// How FFmpeg is asked for the same coding.
    encode: &'static [&'static str],
}

const OPUS: [&str; 6] = ["-c:a", "libopus", "-b:a", "32k", "-application", "voip"];

const FORMATS: [Format; 8] = [
    format(1, "wav", "pcm_u8", 8000, Some("Unsigned Integer PCM"), Some("1"), &["-c:a", "pcm_u8"]),
    format(2, "wav", "pcm_alaw", 8000, Some("A-law"), None, &["-c:a", "pcm_alaw"]),
    format(3, "wav", "pcm_mulaw", 8000, Some("u-law"), None, &["-c:a", "pcm_mulaw"]),
    format(4, "wav", "adpcm_ima_wav", 8000, Some("IMA ADPCM"), None, &["-c:a", "adpcm_ima_wav"]),
    format(5, "wav", "gsm_ms", 8000, Some("GSM"), None, &["-c:a", "libgsm_ms"]),
    format(6, "mp3", "mp3", 24_000, None, None, &["-c:a", "libmp3lame", "-ar", "24000", "-b:a", "32k"]),
    format(7, "wav", "pcm_s16le", 8000, Some("Signed Integer PCM"), Some("2"), &["-c:a", "pcm_s16le"]),
    // At the rate and for the purpose of ours: FFmpeg's own choice would be three times as many bits.
    format(8, "opus", "opus", 48_000, None, None, &OPUS),
];

const fn format(
    number: u32,
    end: &'static str,
    codec: &'static str,
    rate: u32,
    sox: Option<&'static str>,
    python: Option<&'static str>,
    encode: &'static [&'static str],
) -> Format {
    Format { number, end, codec, rate, sox, python, encode }
}

/// How far a length may be off: the last block of a coding that has blocks is filled up, of IMA ADPCM 505 samples of 8 kHz,
/// of GSM two blocks of 320; and FFmpeg counts what an MP3 decoder is behind, 1,057 samples of 24 kHz and a frame of 576.
const LENGTH_MS: u64 = 80;

/// How much less like what was said a recording may be than what another encoder makes of it.
const UNLIKE: f32 = 0.005;

/// Pieces that are compared: 200 ms, so that a delay that adapts in between spoils one or two.
const PIECE: usize = 1600;

/// What a kill may cost at most, of what had been said (`reliability.md` G9).
const LOST_MS: u64 = 500;

impl Format {
    fn file(&self) -> String {
        self.file_of(0)
    }

    /// The file of one of several recordings.
    fn file_of(&self, place: usize) -> String {
        format!("format-{}-{place:02}.{}", self.number, self.end)
    }

    /// All that can open a file of this format say what it is; it is decoded to its end, as loud as what was said.
    /// Gives the lengths that they know.
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
        let by_sox = self.sox.map(|_| ("SoX", Signal::read(path)));
        for (decoder, heard) in [("FFmpeg", judge::heard(path))].into_iter().chain(by_sox) {
            let louder = heard.level_db() - said.level_db();
            println!("{decoder} decodes {}: {} ms, {louder} dB", path.display(), heard.milliseconds());
            assert!(louder.abs() < 3.0, "{}: louder than what was said by {louder} dB", path.display());
            lengths.push((decoder, heard.milliseconds()));
        }
        lengths
    }

    /// What is in the file is as much like what was said as what FFmpeg's encoder of the same coding makes of it.
    fn compare(&self, path: &Path, said: &Signal) {
        let ours = likeness(&judge::heard(path), said);
        let others = likeness(&judge::through_another_encoder(said, self.encode, self.end, path), said);
        println!("{}: {ours:.4}, another encoder {others:.4}", path.display());
        assert!(ours >= others - UNLIKE && ours > 0.9, "{}: {ours}, not {others}", path.display());
    }
}

/// How well what was said is heard: the middle piece of it.
fn likeness(heard: &Signal, said: &Signal) -> f32 {
    let found = heard.likeness(said, PIECE);
    found[found.len() / 2].correlation
}

/// So many recordings: all formats, one after the other and again, each with the name of its file.
fn files(count: usize) -> impl Iterator<Item = (&'static Format, String)> {
    let places = (0..count).map(|number| (&FORMATS[number % FORMATS.len()], number / FORMATS.len()));
    places.map(|(format, place)| (format, format.file_of(place)))
}

/// So many calls, with their recordings begun.
async fn record_all(server: &Server, app: &mut App, count: usize) -> Vec<Caller> {
    let mut callers = Vec::new();
    for _ in 0..count {
        callers.push(Caller::answered(server, app).await);
    }
    for ((format, file), caller) in files(count).zip(&callers) {
        let start = record(caller, &file, format.number);
        app.client.record_start(&start).await.unwrap_or_else(|error| panic!("{file}: {error}"));
    }
    callers
}

fn record(caller: &Caller, file: &str, format: u32) -> RecordStart {
    RecordStart {
        res_id: caller.res_id.clone(),
        max_seconds: 60,
        record_file: file.to_owned(),
        record_format: format,
        finish_keys: "#".into(),
        ..Default::default()
    }
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
    let callers = record_all(&server, &mut app, FORMATS.len()).await;
    let callers = all_say(callers, &said, "#").await;
    for (format, caller) in FORMATS.iter().zip(&callers) {
        let recorded = app.recorded(&caller.res_id).await;
        assert_eq!((recorded.finish_key.as_deref(), recorded.error.as_ref()), (Some("#"), None));
        let path = server.recording(&format.file());
        println!("{}: {} ms", path.display(), recorded.duration_ms);
        for (judge, length) in format.judge(&path, &said) {
            let off = length.abs_diff(recorded.duration_ms);
            // Whoever takes the tag of an MP3 into account hears what was recorded, to the sample; ffprobe counts frames.
            let most = if format.codec == "mp3" && judge != "ffprobe" { 1 } else { LENGTH_MS };
            assert!(off <= most, "{judge}: {length} ms, and {recorded:?}");
        }
        format.compare(&path, &said);
        caller.hang_up().await;
        app.released(&caller.res_id).await;
    }
    app.check_order();
}

/// `reliability.md` D1 and G9: files are valid at every moment, however the process ends, and the next one tells of all of
/// them.
#[tokio::test]
async fn d1_recordings_survive_a_kill_of_the_server() {
    const CALLS: u16 = 50;
    const RECORDINGS: usize = CALLS as usize;
    let setup = Setup { rtp_ports: 2 * CALLS + 20, ..Setup::default() };
    let mut server = Server::start_with("killed", &setup).await;
    let mut app = App::connect(&server).await;
    let said = Signal::read(&server.prompt("welcome.wav"));
    let callers = record_all(&server, &mut app, RECORDINGS).await;
    let of_call = |caller: &Caller| caller.res_id.clone();
    let owners: Vec<_> = files(RECORDINGS).map(|(_, file)| file).zip(callers.iter().map(of_call)).collect();
    let begun = Instant::now();
    let callers = all_say(callers, &said, "").await;
    let recorded = u64::try_from(begun.elapsed().as_millis()).expect("some seconds");
    server.kill();
    let status = server.end(PATIENCE).await;
    assert_eq!(status.signal(), Some(9), "{status}");
    drop(callers);
    println!("killed after {recorded} ms");

    let judge = |when: &str| {
        for (format, file) in files(RECORDINGS) {
            for (judge, length) in format.judge(&server.recording(&file), &said) {
                assert!(
                    length + LOST_MS >= recorded,
                    "{judge} {when}: {length} ms of {recorded} ms in {file}"
                );
            }
        }
    };
    judge("before the restart");
    server.start_again().await;
    let mut app = App::connect_after(&server, Some(0)).await;
    let mut told = Vec::new();
    for _ in 0..RECORDINGS {
        let pick = |kind: &EventKind| match kind {
            EventKind::RecordingRecovered(event) => Some(event.clone()),
            _ => None,
        };
        let recovered = app.event("on_recording_recovered", PATIENCE, pick).await;
        let file =
            std::fs::metadata(server.recording(&recovered.record_file)).expect("the file that was told");
        assert_eq!((recovered.parts, recovered.bytes), (1, file.len()), "{recovered:?}");
        let owner = owners.iter().find(|(file, _)| *file == recovered.record_file).map(|(_, call)| call);
        assert_eq!(recovered.owner_res_id.as_ref(), owner, "{recovered:?}");
        told.push(recovered.record_file);
    }
    let mut expected: Vec<_> = files(RECORDINGS).map(|(_, file)| file).collect();
    expected.sort();
    assert_eq!(told, expected);
    // Before the calls are over.
    app.released(&owners[0].1).await;
    let is_end = |event: &&Event| matches!(event.kind, EventKind::Released(_));
    let end = app.history().iter().find(is_end).expect("an end").seq;
    let is_later = |event: &&Event| event.seq > end && matches!(event.kind, EventKind::RecordingRecovered(_));
    assert_eq!(app.history().iter().find(is_later).map(|event| event.seq), None);
    let log = server.log();
    let lines =
        log.lines().filter(|line| line.contains("\"a recording was cut off by the end of the server\""));
    let names = ["res_id", "sip_call_id", "trace_id"];
    let named = lines.filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    assert_eq!(named.filter(|line| names.iter().all(|name| line[name].is_string())).count(), RECORDINGS);
    for (format, file) in files(FORMATS.len()) {
        format.judge(&server.recording(&file), &said);
    }
}

/// `reliability.md` D2 and G10: a full disk ends the recording and not the call; what was recorded is whole; without room
/// nothing new begins, and with it everything goes on, without a restart.
#[tokio::test]
async fn d2_a_full_disk_costs_the_recording_and_nothing_else() {
    const DISK: u64 = 4 << 20;
    if !server::gives_disks() {
        eprintln!("SKIPPED: this machine does not let a process mount a disk of its own (unshare -rm)");
        return;
    }
    let media = "recordings_min_free_bytes = 1048576".to_owned();
    let setup = Setup { media, disk: Some(DISK), ..Setup::default() };
    let server = Server::start_with("full-disk", &setup).await;
    let mut app = App::connect(&server).await;
    let said = Signal::read(&server.prompt("welcome.wav"));
    let mut caller = Caller::answered(&server, &mut app).await;
    let begun = Instant::now();
    app.client.record_start(&record(&caller, "cut.wav", 7)).await.expect("a recording");
    let media = caller.media;
    caller.rtp.speak(&said, media).await;

    // Somebody else fills the disk to its end.
    let filler = server.recording_on_its_disk("filler");
    let filled = std::fs::write(&filler, vec![0; usize::try_from(DISK).expect("4 MiB")]);
    assert_eq!(filled.map_err(|error| error.kind()), Err(std::io::ErrorKind::StorageFull));
    let full = Instant::now();
    let recorded = app.recorded(&caller.res_id).await;
    // Until the file's last page is full, 4,096 bytes or 256 ms of this format, there is room for it.
    let (told, lasted) = (full.elapsed(), begun.elapsed());
    println!("told {} ms after the disk was full: {recorded:?}", told.as_millis());
    assert!(told < Duration::from_secs(1), "{told:?}");
    assert_eq!(recorded.error.map(|error| error.code).as_deref(), Some("disk_full"));
    let copy = server.recording("copy.wav");
    std::fs::copy(server.recording_on_its_disk("cut.wav"), &copy).expect("the file");
    let length = judge::soxi(&copy).milliseconds;
    assert_eq!(length, judge::python(&copy).milliseconds);
    let lasted = u64::try_from(lasted.as_millis()).expect("some seconds");
    let waited = u64::try_from(told.as_millis()).expect("less than a second");
    assert!(length <= lasted && length + waited + LOST_MS >= lasted, "{length} of {lasted} ms");
    assert!(likeness(&Signal::read(&copy), &said) > 0.9);

    let refused = app.client.record_start(&record(&caller, "refused.wav", 7)).await;
    println!("{refused:?}");
    assert!(format!("{refused:?}").contains("\"disk_full\""), "{refused:?}");
    // The call goes on.
    caller.rtp.speak(&said, media).await;
    std::fs::remove_file(&filler).expect("the filler");
    app.client.record_start(&record(&caller, "again.wav", 7)).await.expect("room again");
    caller.rtp.speak(&said, media).await;
    caller.rtp.press("#", media).await;
    let recorded = app.recorded(&caller.res_id).await;
    assert_eq!((recorded.error, recorded.finish_key.as_deref()), (None, Some("#")));
    caller.hang_up().await;
    app.released(&caller.res_id).await;
    app.check_order();
}
