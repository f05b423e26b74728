//! What an application writes into a call (`reliability.md` G22): whatever the door lets pass stays in the header that it is for,
//! as the callee reads it off the wire.

use offhook_client::wire;
use offhook_tests::agent::{Agent, Message};
use offhook_tests::app::App;
use offhook_tests::server::{Server, Setup, fixtures};
use offhook_tests::wait::PATIENCE;
use serde_json::Value;

/// Texts without control characters that would be more than text, if somebody forgot to quote them.
fn texts() -> Vec<String> {
    let lists = std::fs::read_to_string(fixtures().join("hostile/injection.json")).expect("the texts");
    let lists: Value = serde_json::from_str(&lists).expect("a list");
    let texts = lists["harmless"].as_array().expect("a list").iter();
    texts.map(|text| text.as_str().expect("a text").to_owned()).collect()
}

/// The names of the headers of a message, in their order.
fn names(message: &Message) -> Vec<String> {
    let head = message.text.split("\r\n\r\n").next().unwrap_or_default();
    let lines = head.split("\r\n").skip(1);
    lines.map(|line| line.split(':').next().unwrap_or_default().to_owned()).collect()
}

/// What stands in the quotes at the beginning of a header, as it was before it was quoted, and what follows.
fn unquoted(value: &str) -> (String, &str) {
    let mut text = String::new();
    let mut chars = value.strip_prefix('"').expect("a quoted name").char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '\\' => text.extend(chars.next().map(|(_, char)| char)),
            '"' => return (text, &value[1 + at + 1..]),
            char => text.push(char),
        }
    }
    panic!("the quotes of {value} do not end")
}

#[tokio::test]
async fn g22_what_an_application_writes_stays_in_its_header() {
    let setup = Setup { rtp_ports: 200, ..Setup::default() };
    let server = Server::start_with("injection", &setup).await;
    let app = App::connect(&server).await;
    let callee = Agent::new(server.sip()).await;
    let mut expected = None;
    for text in texts() {
        let construct = wire::Construct {
            from_uri: "application@192.0.2.10".to_owned(),
            to_uri: format!("callee@{}", callee.address()).into(),
            max_answer_seconds: 60,
            from_name: Some(text.clone()),
            headers: [("X-A".to_owned(), text.clone()), ("Subject".to_owned(), text.clone())].into(),
            ..Default::default()
        };
        app.client.construct(&construct).await.unwrap_or_else(|error| panic!("{text:?}: {error}"));
        let invite = callee.request("INVITE", PATIENCE).await;
        callee.answer(&invite, "486 Busy Here").await;
        callee.request("ACK", PATIENCE).await;
        let from = invite.header("From").expect("a From");
        let (name, rest) = unquoted(&from);
        assert_eq!(name, text, "{}", invite.text);
        assert!(rest.trim_start().starts_with("<sip:application@192.0.2.10>;tag="), "{rest}");
        for header in ["X-A", "Subject"] {
            assert_eq!(invite.headers(header), [text.trim()], "{}", invite.text);
        }
        let found = names(&invite);
        assert_eq!(*expected.get_or_insert_with(|| found.clone()), found, "{text:?} made other headers");
    }
}
