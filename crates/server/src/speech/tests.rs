//! Programs and servers that speak, well and badly; what is kept of it.

use std::sync::Arc;

use offhook_call::{JobId, Sound};
use offhook_media::event::Codec;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::call_log::testing::{said, whose};
use crate::prompts::Prompts;

/// Audio that plays as a prompt.
const AUDIO: &[u8] = include_bytes!("../../../../fixtures/audio/8k-mono-ms.wav");

/// A folder of its own for each test, removed at its end.
struct Temp(PathBuf);

impl Temp {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("offhook-speech-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        std::fs::write(path.join("audio.wav"), AUDIO).unwrap();
        Self(path)
    }

    /// A speaker whose program is these lines of shell. `$AUDIO` is a good file, `$1` the voice, `$2` the file to write.
    fn program(&self, lines: &str) -> Config {
        let script = format!("AUDIO={}\n{lines}", self.0.join("audio.wav").display());
        let command = ["/bin/sh", "-c", &script, "sh", "{voice}", "{file}"].map(str::to_owned).to_vec();
        Config { command, cache_dir: self.0.join("cache"), timeout_seconds: 2, ..Config::default() }
    }

    fn kept(&self) -> usize {
        std::fs::read_dir(self.0.join("cache")).unwrap().count()
    }

    /// What the program has noted of its runs.
    fn notes(&self) -> Vec<String> {
        let notes = std::fs::read_to_string(self.0.join("notes")).unwrap_or_default();
        notes.lines().map(str::to_owned).collect()
    }
}

impl Drop for Temp {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn speech(text: &str) -> Speech {
    Speech { text: text.to_owned(), language: Language::En, voice: None }
}

fn speaker(config: &Config) -> Speaker {
    Speaker::of(config, Path::new("unused")).unwrap().expect("a speaker")
}

#[tokio::test]
async fn a_text_is_spoken_once_by_the_voice_that_is_asked_for() {
    let temp = Temp::new("once");
    let notes = temp.0.join("notes");
    let config = temp.program(&format!("echo \"$1 $(cat)\" >> {}; cp $AUDIO $2", notes.display()));
    let speaker = speaker(&config);
    for _ in 0..3 {
        speaker.say(&whose(), &speech("Good day; $(rm -rf /) -w")).await.unwrap();
    }
    let chinese = Speech { text: "你好".to_owned(), language: Language::Zh, voice: None };
    speaker.say(&whose(), &chinese).await.unwrap();
    let other = Speech { voice: Some("de".to_owned()), ..speech("Good day; $(rm -rf /) -w") };
    speaker.say(&whose(), &other).await.unwrap();
    // The text is never looked at by a shell or as an option.
    assert_eq!(temp.notes(), ["en-us Good day; $(rm -rf /) -w", "cmn 你好", "de Good day; $(rm -rf /) -w"]);
    let mut audio = Vec::new();
    std::io::Read::read_to_end(&mut speaker.open(&chinese).unwrap(), &mut audio).unwrap();
    assert_eq!(audio, AUDIO);
    // Another node, or this one after a restart, finds it.
    let again = self::speaker(&config);
    again.say(&whose(), &chinese).await.unwrap();
    assert_eq!((temp.notes().len(), temp.kept()), (3, 3));
    assert_eq!(again.open(&speech("never said")).unwrap_err(), FileFault::NotFound);
}

#[tokio::test]
async fn a_program_may_write_to_its_standard_output() {
    let temp = Temp::new("stdout");
    let mut config = temp.program("cat > /dev/null; cat $AUDIO");
    config.command.pop();
    let speaker = speaker(&config);
    speaker.say(&whose(), &speech("a")).await.unwrap();
    assert!(speaker.open(&speech("a")).is_ok());
}

/// What it complains of is more than a pipe holds; whoever reads the one and not the other would keep it waiting.
#[tokio::test]
async fn a_program_may_complain_at_length() {
    let temp = Temp::new("chatty");
    let chatty = "head -c 300000 /dev/zero >&2";
    let speaker = speaker(&temp.program(&format!("{chatty}; cp $AUDIO $2")));
    speaker.say(&whose(), &speech("a")).await.unwrap();
    let mut config = temp.program(&format!("cat > /dev/null; {chatty}; cat $AUDIO"));
    config.command.pop();
    self::speaker(&config).say(&whose(), &speech("b")).await.unwrap();
}

#[tokio::test]
async fn what_a_program_does_wrong_is_a_fault_and_nothing_is_kept() {
    let temp = Temp::new("wrong");
    for lines in [
        "exit 1",               // says that it has failed
        "cp $AUDIO $2; exit 3", // the same, though there is audio
        "cat > /dev/null",      // makes no file
        "echo hello > $2",      // makes something else
        "exec sleep 30",        // takes too long
        "kill -9 $$",           // is killed
    ] {
        let speaker = speaker(&temp.program(lines));
        assert_eq!(speaker.say(&whose(), &speech("a")).await, Err(FileFault::Unspoken), "{lines}");
        assert_eq!(speaker.open(&speech("a")).unwrap_err(), FileFault::NotFound, "{lines}");
    }
    assert_eq!(temp.kept(), 0);
}

#[test]
fn what_cannot_be_spoken_is_told_by_the_names_of_the_call() {
    let temp = Temp::new("names");
    let speaker = speaker(&temp.program("exit 1"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let lines = said(|| {
        let text = speech("a");
        runtime.block_on(speaker.say(&whose(), &text)).unwrap_err();
    });
    assert_eq!(lines, ["WARN a text cannot be spoken"]);
}

/// What a wrapper has started does not outlive it: a program in its group writes when it is too late, if it lives.
#[tokio::test]
async fn what_a_late_program_has_started_ends_with_it() {
    let temp = Temp::new("group");
    let late = temp.0.join("late");
    let config =
        Config { timeout_seconds: 1, ..temp.program(&format!("(sleep 2; touch {}) & wait", late.display())) };
    assert_eq!(speaker(&config).say(&whose(), &speech("a")).await, Err(FileFault::Unspoken));
    tokio::time::timeout(Duration::from_millis(1_500), std::future::pending::<()>()).await.unwrap_err();
    assert!(!late.exists());
}

/// The second waits for the first, which takes more than half of the time that each may take.
#[tokio::test]
async fn a_text_that_waits_for_others_has_its_whole_time_still() {
    let temp = Temp::new("waits");
    let config = Config { at_once: 1, ..temp.program("sleep 1.2; cp $AUDIO $2") };
    let speaker = speaker(&config);
    let (first, second) = (speech("a"), speech("b"));
    let of = whose();
    let both = tokio::join!(speaker.say(&of, &first), speaker.say(&of, &second));
    assert_eq!(both, (Ok(()), Ok(())));
}

/// A question that is abandoned ends its program, at once, and leaves no part of a file.
#[tokio::test]
async fn a_text_that_nobody_waits_for_any_more_is_left_off() {
    let temp = Temp::new("abandoned");
    let (begun, late) = (temp.0.join("begun"), temp.0.join("late"));
    let lines = format!("touch $2; touch {}; (sleep 1; touch {}) & wait", begun.display(), late.display());
    let speaker = Arc::new(speaker(&temp.program(&lines)));
    let prompts = Prompts::new(Directory::open(&temp.0).unwrap(), 0).speaking(Some(speaker));
    let (control, _inputs) = tokio::sync::mpsc::channel(1);
    let mut loaders = crate::prompts::start(prompts, &control).unwrap();
    loaders.ask((JobId(1), whose()), vec![Sound::Speech(speech("a")).into()], Codec::Pcma).unwrap();
    let beginning = async {
        while !begun.exists() {
            let pause = std::future::pending::<()>();
            let _ = tokio::time::timeout(Duration::from_millis(5), pause).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), beginning).await.unwrap();
    loaders.abandon(JobId(1));
    let pause = Duration::from_millis(1_500);
    tokio::time::timeout(pause, std::future::pending::<()>()).await.unwrap_err();
    assert!(!late.exists());
    assert_eq!(temp.kept(), 0);
}

#[test]
fn without_its_program_there_is_nobody_who_speaks() {
    for command in [vec!["no-such-program-of-offhook".to_owned()], vec!["/no/such/path".to_owned()]] {
        assert!(
            Speaker::of(&Config { command, ..Config::default() }, Path::new("unused")).unwrap().is_none()
        );
    }
    let off = Config { provider: SpeechProvider::Off, ..Config::default() };
    assert!(Speaker::of(&off, Path::new("unused")).unwrap().is_none());
}

/// What `offhook check` warns of.
#[tokio::test]
async fn voices_that_cannot_speak_are_told() {
    let temp = Temp::new("check");
    assert!(faults(&temp.program("cp $AUDIO $2")).await.is_empty());
    let one = faults(&temp.program("[ $1 = cmn ] && exit 1; cp $AUDIO $2")).await;
    assert!(one.len() == 1 && one[0].starts_with("speech.voices.zh: \"cmn\" cannot be spoken: "), "{one:?}");
    assert_eq!(faults(&temp.program("cat > /dev/null")).await.len(), 2, "no audio");
    let missing = Config { command: vec!["no-such-program-of-offhook".to_owned()], ..Config::default() };
    assert!(faults(&missing).await[0].starts_with("speech.command: "));
    assert!(faults(&Config { provider: SpeechProvider::Off, ..missing }).await.is_empty());
}

#[tokio::test]
async fn what_was_said_first_goes_first_and_parts_of_a_crash_are_removed() {
    let temp = Temp::new("bounded");
    std::fs::create_dir_all(temp.0.join("cache")).unwrap();
    std::fs::write(temp.0.join("cache/x.audio.7.part"), b"half").unwrap();
    let cache_bytes = AUDIO.len() as u64 * 5 / 2;
    let speaker = speaker(&Config { cache_bytes, ..temp.program("cp $AUDIO $2") });
    assert_eq!(temp.kept(), 0);
    for (index, text) in ["a", "b", "c"].into_iter().enumerate() {
        speaker.say(&whose(), &speech(text)).await.unwrap();
        // The clock of a file system may be coarse.
        let made = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000 + index as u64);
        if index < 2 {
            speaker.open(&speech(text)).unwrap().set_modified(made).unwrap();
        }
    }
    assert_eq!(temp.kept(), 2);
    assert_eq!(speaker.open(&speech("a")).unwrap_err(), FileFault::NotFound);
    assert!(speaker.open(&speech("b")).is_ok() && speaker.open(&speech("c")).is_ok());
}

/// Answers so many requests, each with these bytes; gives what they were.
async fn service(answers: Vec<Vec<u8>>) -> (String, tokio::task::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/say?format=wav", listener.local_addr().unwrap());
    let serving = tokio::spawn(async move {
        let mut requests = Vec::new();
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"}") {
                assert_ne!(stream.read_buf(&mut request).await.unwrap(), 0, "the request ends early");
            }
            stream.write_all(&answer).await.unwrap();
            requests.push(String::from_utf8(request).unwrap());
        }
        requests
    });
    (url, serving)
}

#[tokio::test]
async fn another_server_speaks() {
    let temp = Temp::new("http");
    let head =
        format!("HTTP/1.1 200 OK\r\nContent-Type: audio/wav\r\nContent-Length: {}\r\n\r\n", AUDIO.len());
    let failed = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n".to_vec();
    let elsewhere =
        b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n".to_vec();
    let page = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>".to_vec();
    let (url, serving) = service(vec![[head.as_bytes(), AUDIO].concat(), failed, elsewhere, page]).await;
    let config = Config {
        provider: SpeechProvider::Http,
        url,
        token: Some("key".to_owned().try_into().unwrap()),
        cache_dir: temp.0.join("cache"),
        timeout_seconds: 2,
        ..Config::default()
    };
    let speaker = Arc::new(speaker(&config));
    speaker.say(&whose(), &Speech { voice: Some("anna".to_owned()), ..speech("say \"it\"") }).await.unwrap();
    for text in ["busy", "moved", "a page"] {
        assert_eq!(speaker.say(&whose(), &speech(text)).await, Err(FileFault::Unspoken), "{text}");
    }
    let requests = serving.await.unwrap();
    let (head, body) = requests[0].split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("POST /say?format=wav HTTP/1.1\r\n"), "{head}");
    assert!(head.to_ascii_lowercase().contains("authorization: bearer key"), "{head}");
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(body, serde_json::json!({ "text": "say \"it\"", "lang": "en", "voice": "anna" }));
    assert_eq!(temp.kept(), 1);
    // Nobody is there any more.
    assert_eq!(speaker.say(&whose(), &speech("gone")).await, Err(FileFault::Unspoken));
}
