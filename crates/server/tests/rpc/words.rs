//! Play content of every type, from JSON to the files that are played, and what is refused of it. What values come to in
//! words has tests of its own, in `offhook_call::prompt`.

use offhook_call::Reply;
use offhook_call::command::{Command, Content};
use offhook_call::error::{Error, FileFault};
use offhook_call::prompt::Language;
use offhook_call::{PromptSource, Sound, Speech};
use serde_json::{Value, json};

use crate::server::{Asked, Server};

const CALL: &str = "0.0.0-sys.call-1";

/// What `play_start` of this content asks of the calls, and what `receive_dtmf_start` with it as its prompt does: the same.
async fn asked(server: &mut Server, content: &Value) -> Vec<PromptSource> {
    let client = server.client().await;
    client.request("sys.call.play_start", json!([CALL, content])).await.unwrap();
    let Asked::Command(Command::PlayStart { content: Content { sources: files }, .. }) = server.asked().await
    else {
        panic!("play_start")
    };
    let collect = json!({ "res_id": CALL, "play_content": content });
    client.request("sys.call.receive_dtmf_start", collect).await.unwrap();
    let Asked::Command(Command::ReceiveDtmfStart(collect)) = server.asked().await else {
        panic!("receive_dtmf_start")
    };
    assert_eq!(collect.prompt.unwrap().sources, files, "{content}");
    files
}

/// The default of the server of these tests is Chinese.
#[tokio::test]
async fn content_of_every_type_comes_to_files() {
    let mut server = Server::start(|_| Ok(Reply::Done)).await;
    for (item, expected) in [
        (json!(["a.wav"]), "a.wav"),
        (json!(["a.wav", 0]), "a.wav"),
        (json!(["2010", 1, "lang=en"]), "en/2.wav en/0.wav en/1.wav en/0.wav"),
        (json!([2010, 1]), "zh/2.wav zh/0.wav zh/1.wav zh/0.wav"),
        (json!([-2.5, 2, "lang=en"]), "en/minus.wav en/2.wav en/point.wav en/5.wav"),
        (json!([200, 2]), "zh/2.wav zh/100.wav"),
        (json!(["2000", 2, " lang = zh ; voice=x"]), "zh/liang.wav zh/1000.wav"),
        (json!([1.01, 3, "lang=en"]), "en/1.wav en/dollar.wav en/and.wav en/1.wav en/cent.wav"),
        (json!(["12.50", 3]), "zh/10.wav zh/2.wav zh/point.wav zh/5.wav zh/yuan.wav"),
        (
            json!(["2026-11-30T08:00:00+08:00", 4, "lang=en"]),
            "en/november.wav en/30th.wav en/20.wav en/20.wav en/6.wav en/at.wav en/8.wav en/oclock.wav en/am.wav",
        ),
        (json!(["02:00", 4]), "zh/liang.wav zh/clock.wav zh/sharp.wav"),
        (json!([3601, 5, "lang=en"]), "en/1.wav en/hour.wav en/and.wav en/1.wav en/second.wav"),
        (json!(["00:02", 5]), "zh/liang.wav zh/minutes.wav"),
        (json!([0.55, 6]), "zh/5.wav zh/jiao.wav zh/5.wav zh/fen.wav"),
        (json!(["3", 6, "lang=en"]), "en/3.wav en/yuan.wav"),
        (json!(["a.wav|b/c.wav", 7]), "a.wav b/c.wav"),
        (json!(["anything", -1, "and any option"]), ""),
    ] {
        let files = asked(&mut server, &json!([item])).await;
        let names: Vec<_> = files.iter().map(|file| file.sound.name()).collect();
        assert_eq!(names.join(" "), expected, "{item}");
    }
}

#[tokio::test]
async fn items_keep_their_order_their_gain_and_their_number() {
    let mut server = Server::start(|_| Ok(Reply::Done)).await;
    let content = json!([["a.wav", 0, "gain=-3"], ["x", -1], [12, 1, "gain=6;lang=en"], ["b.wav|c.wav", 7]]);
    let files = asked(&mut server, &content).await;
    let file = |name: &str, gain_db, item| PromptSource { gain_db, item: Some(item), ..name.into() };
    let expected = [
        file("a.wav", -3, 0),
        file("en/1.wav", 6, 2),
        file("en/2.wav", 6, 2),
        file("b.wav", 0, 3),
        file("c.wav", 0, 3),
    ];
    assert_eq!(files, expected);
    // Thirty of the longest are within what one action takes.
    let long = json!(["-9876543219876543.25", 2, "lang=en"]);
    assert_eq!(asked(&mut server, &json!(vec![long; 30])).await.len(), 30 * 29);
    let client = server.client().await;
    for (item, count) in [(json!(["1".repeat(64), 1]), 16), (json!(["a|b|c|d", 7]), 26)] {
        let error =
            client.request("sys.call.play_start", json!([CALL, vec![item; count]])).await.unwrap_err();
        assert!(error.to_string().contains("at most 100 files and 1000 words"), "{error}");
    }
}

#[tokio::test]
async fn a_text_is_spoken_in_its_language_and_by_its_voice() {
    let mut server = Server::start(|_| Ok(Reply::Done)).await;
    let content = json!([["Guten Tag; hello", 10, "lang=en;voice=de+f2;gain=-3"], ["你好", 10]]);
    let sources = asked(&mut server, &content).await;
    let english = Speech {
        text: "Guten Tag; hello".to_owned(),
        language: Language::En,
        voice: Some("de+f2".to_owned()),
    };
    let chinese = Speech { text: "你好".to_owned(), language: Language::Zh, voice: None };
    let expected = [
        PromptSource { sound: Sound::Speech(english), gain_db: -3, item: Some(0) },
        PromptSource { sound: Sound::Speech(chinese), gain_db: 0, item: Some(1) },
    ];
    assert_eq!(sources, expected);
}

#[tokio::test]
async fn what_cannot_be_said_is_named() {
    let server = Server::start_unasked().await;
    let client = server.client().await;
    for (item, element, expected) in [
        (json!(["12a", 1]), 0, "a whole number"),
        (json!([1.5, 1]), 0, "a whole number"),
        (json!(["", 2]), 0, "a number"),
        (json!([1e16, 2]), 0, "at most 16 digits"),
        (json!([1e300, 2]), 0, "at most 64 bytes"),
        (json!([0.001, 3]), 0, "at most two digits"),
        (json!([0.001, 6]), 0, "at most two digits"),
        (json!(["2026-02-29", 4]), 0, "a day of 01 to 28"),
        (json!(["2026-13-01", 4]), 0, "a month of 01 to 12"),
        (json!(["24:00", 4]), 0, "a time of 00:00:00 to 23:59:59"),
        (json!(["tomorrow", 4]), 0, "YYYY-mm-dd HH:MM:SS"),
        (json!([-1, 5]), 0, "HH:MM:SS"),
        (json!(["100:00", 5]), 0, "HH:MM:SS"),
        (json!([5, 0]), 0, "a file name"),
        (json!([5, 7]), 0, "a file name"),
        (json!(["a.wav||b.wav", 7]), 0, "a file name"),
        (json!(["", 10]), 0, "a text of 1 to 3000 bytes"),
        (json!(["x".repeat(3001), 10]), 0, "a text of 1 to 3000 bytes"),
        (json!(["a\0b", 10]), 0, "a text of 1 to 3000 bytes"),
        (json!([5, 10]), 0, "a text"),
        (json!(["hello", 10, "voice=-w"]), 2, "voice=, a name"),
        (json!(["hello", 10, "voice=../../etc/passwd"]), 2, "voice=, a name"),
        (json!(["hello", 10, "voice=$(id)"]), 2, "voice=, a name"),
        (json!(["hello", 10, "lang=fr"]), 2, "lang=zh or lang=en"),
        (json!(["hello", 8]), 1, "0 to 7, 10, or below 0"),
        (json!(["1", 1, "lang=fr"]), 2, "lang=zh or lang=en"),
        (json!(["1", 1, "gain=21"]), 2, "gain=-40 to 20"),
        (json!(["1", 1, "pitch=1"]), 2, "gain=, lang= and voice="),
        (json!(["a.wav", 0, "lang"]), 2, "gain=, lang= and voice="),
    ] {
        let content = json!([["a.wav"], item]);
        for (method, name) in [("play_start", "content"), ("receive_dtmf_start", "play_content")] {
            let params = json!({ "res_id": CALL, name: content });
            let error = client.request(&format!("sys.call.{method}"), params).await.unwrap_err();
            let offhook_client::Error::Rpc { code, data, .. } = &error else { panic!("{item}: {error}") };
            assert_eq!((*code, &data["reason"]), (-32602, &json!("invalid_params")), "{item}");
            assert_eq!(data["param"], json!(format!("{name}[1][{element}]")), "{item}");
            assert!(data["expected"].as_str().unwrap().contains(expected), "{item}: {data}");
        }
    }
}

#[tokio::test]
async fn a_word_that_is_not_recorded_is_named_with_its_item() {
    let server = Server::start(|command| match command {
        Command::PlayStart { content, .. } => {
            let PromptSource { sound, item, .. } = content.sources[1].clone();
            let file = sound.name().to_owned();
            Err(Error::File { fault: FileFault::NotFound, param: "content", file, item })
        }
        other => panic!("{other:?}"),
    })
    .await;
    let client = server.client().await;
    let content = json!([["a.wav"], [7, 1, "lang=en"]]);
    let error = client.request("sys.call.play_start", json!([CALL, content])).await.unwrap_err();
    let offhook_client::Error::Rpc { code, message, data, .. } = error else { panic!("{error}") };
    let expected =
        json!({ "reason": "file_not_found", "param": "content[1][0]", "file": "en/7.wav", "item": 1 });
    assert_eq!((code, data), (-32004, expected));
    assert_eq!(message, "there is no file en/7.wav (of item 1, the first being 0)");
}
