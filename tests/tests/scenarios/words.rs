//! Numbers, money, dates and durations as a caller hears them: each word of the pack whole, one after the other.

use std::process::Command;
use std::time::{Duration, Instant};

use offhook_client::wire::{ErrorData, Item, ReceiveDtmfStart, What};
use offhook_tests::app::App;
use offhook_tests::caller::Caller;
use offhook_tests::server::{Server, Setup};
use offhook_tests::wav::Signal;

fn item(what: &str, kind: i64, options: &str) -> Item {
    Item { what: What::Text(what.to_owned()), kind, options: options.to_owned() }
}

/// `call-api.md` §4, play_start: one item of each type, in the language of the configuration or of its own.
#[tokio::test]
async fn values_are_heard_word_by_word_without_a_gap() {
    let media = "language = \"en\"".to_owned();
    let server = Server::start_with("words", &Setup { media, ..Setup::default() }).await;
    let mut app = App::connect(&server).await;
    let caller = Caller::answered(&server, &mut app).await;
    let mut plays = Vec::new();
    for (value, words) in [
        (item("thank-you.wav", 0, ""), "thank-you"),
        (item("407", 1, ""), "en/4 en/0 en/7"),
        (item("-2000", 2, "lang=zh"), "zh/minus zh/liang zh/1000"),
        (item("0.05", 3, ""), "en/5 en/cents"),
        (item("15:05", 4, ""), "en/3 en/oh en/5 en/pm"),
        (item("02:00", 5, "lang=zh"), "zh/liang zh/hours"),
        (item("10.05", 6, "lang=zh"), "zh/10 zh/yuan zh/0 zh/5 zh/fen"),
        (item("thank-you.wav|en/7.wav", 7, ""), "thank-you en/7"),
    ] {
        let mut expected = Signal(Vec::new());
        for word in words.split(' ') {
            expected.0.extend(Signal::read(&server.prompt(&format!("{word}.wav"))).0);
        }
        let begin = caller.rtp.signal().0.len();
        app.client
            .play_start(&caller.res_id, vec![value.clone(), item("", -1, "")], "")
            .await
            .expect("a play");
        let played = app.played(&caller.res_id).await;
        assert_eq!(played.error, None, "{value:?}");
        assert!(played.played_ms.abs_diff(expected.milliseconds()) <= 20, "{value:?}: {}", played.played_ms);
        plays.push((value, begin, expected));
    }
    caller.hang_up().await;
    app.released(&caller.res_id).await;
    let heard = caller.rtp.signal().0;
    for (value, begin, expected) in plays {
        // What was on its way when it was asked for, and some time for the first packet.
        let end = heard.len().min(begin + expected.0.len() + 2400);
        let found = Signal(heard[begin.saturating_sub(800)..end].to_vec()).find(&expected);
        assert!(found.correlation > 0.999 && found.gain_db.abs() < 0.1, "{value:?}: {found:?}");
    }
    app.check_order();
}

/// A text is what espeak-ng makes of it, at once the second time.
#[tokio::test]
async fn a_text_is_spoken_and_kept() {
    let server = Server::start("speech").await;
    let mut app = App::connect(&server).await;
    let caller = Caller::answered(&server, &mut app).await;
    let text = "Your appointment is on Tuesday.";
    let wanted = server.dir().join("wanted.wav");
    let resampled = server.dir().join("wanted-8k.wav");
    let mut speak = Command::new("espeak-ng");
    speak.args(["-v", "en-us", "-w"]).arg(&wanted).arg(text);
    assert!(speak.status().expect("espeak-ng").success());
    let mut resample = Command::new("sox");
    resample.arg(&wanted).args(["-r", "8000", "-b", "16"]).arg(&resampled);
    assert!(resample.status().expect("sox").success());
    let wanted = Signal::read(&resampled);
    for _ in 0..2 {
        let begin = Instant::now();
        let before = caller.rtp.signal().0.len();
        let play = app.client.play_start(&caller.res_id, vec![item(text, 10, "lang=en")], "");
        play.await.expect("a play");
        println!("spoken after {:?}", begin.elapsed());
        assert_eq!(app.played(&caller.res_id).await.error, None);
        tokio::time::sleep(Duration::from_millis(100)).await;
        let heard = caller.rtp.signal().0;
        let found = Signal(heard[before.saturating_sub(800)..].to_vec()).find(&wanted);
        assert!(found.correlation > 0.98 && found.gain_db.abs() < 0.5, "{found:?}");
    }
    caller.hang_up().await;
    app.released(&caller.res_id).await;
    app.check_order();
}

#[tokio::test]
async fn a_text_that_cannot_be_spoken_is_an_error_of_its_item() {
    for speech in ["command = [\"false\"]", "provider = \"off\""] {
        let media = format!("[speech]\n{speech}");
        let server = Server::start_with("speechless", &Setup { media, ..Setup::default() }).await;
        let mut app = App::connect(&server).await;
        let caller = Caller::answered(&server, &mut app).await;
        let content = vec![item("x", -1, ""), item("hello", 10, "")];
        let error = app.client.play_start(&caller.res_id, content, "").await.expect_err("nobody speaks");
        assert_eq!(
            error.data(),
            Some(ErrorData::SpeechFailed {
                param: "content[1][0]".to_owned(),
                text: "hello".to_owned(),
                item: Some(1)
            })
        );
        caller.hang_up().await;
        app.released(&caller.res_id).await;
    }
}

/// A word that nobody has recorded is said in the reply, for a play and for a prompt, and nothing is heard.
#[tokio::test]
async fn a_word_that_is_not_there_is_an_error_of_its_item() {
    let server = Server::start("words-missing").await;
    let mut app = App::connect(&server).await;
    let caller = Caller::answered(&server, &mut app).await;
    std::fs::remove_file(server.prompt("zh/7.wav")).expect("a word");
    let content = vec![item("thank-you.wav", 0, ""), item("", -1, ""), item("17", 2, "")];
    let missing = |param: &str| {
        let (param, file) = (param.to_owned(), "zh/7.wav".to_owned());
        Some(ErrorData::FileNotFound { param, file, item: Some(2) })
    };
    let error = app.client.play_start(&caller.res_id, content.clone(), "").await.expect_err("a missing word");
    assert_eq!(error.data(), missing("content[2][0]"));
    let collect = ReceiveDtmfStart {
        res_id: caller.res_id.clone(),
        play_content: Some(content.into()),
        ..Default::default()
    };
    let error = app.client.receive_dtmf_start(&collect).await.expect_err("a missing word");
    assert_eq!(error.data(), missing("play_content[2][0]"));
    caller.hang_up().await;
    app.released(&caller.res_id).await;
}
