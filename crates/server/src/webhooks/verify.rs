//! The one hook of SpRecord that an application sets by `/sys/subscribe_events`: nobody is sent anything who has not answered
//! as only one can that wants it.

use http::header;
use offhook_client::wire::WebhookFormat;
use serde::Deserialize;

use super::post::{Client, Target};
use super::words::{KINDS, SpRecord};
use super::{Definition, Refusal, definition, sign};
use crate::clock;

/// What is set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Where; empty for nowhere.
    pub hook: String,
    /// The kinds of events; none for no hook.
    pub subscribe: Vec<String>,
}

/// Why something is not set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unverified {
    /// What was wrong, for people.
    Wrong(String),
    /// It could not be done.
    Refused(Refusal),
}

impl Settings {
    /// What is wrong with it, before anybody is asked.
    pub(super) fn check(&self) -> Result<(), Unverified> {
        let unknown = self.subscribe.iter().find(|kind| !KINDS.contains(&kind.as_str()));
        if let Some(kind) = unknown {
            let kind: String = kind.chars().take(64).collect();
            return Err(Unverified::Wrong(format!(
                "there is no event {kind:?}; there are {}",
                KINDS.join(", ")
            )));
        }
        if !self.subscribe.is_empty() && !definition::is_url(&self.hook) {
            return Err(Unverified::Wrong("hook: expected http://HOST… or https://HOST…".to_owned()));
        }
        Ok(())
    }

    /// The hook of these settings.
    pub(super) fn definition(&self) -> Definition {
        let kinds = KINDS.iter().filter(|kind| self.subscribe.iter().any(|own| own == *kind));
        Definition {
            url: self.hook.clone(),
            format: WebhookFormat::Sprecord,
            types: Some(kinds.map(ToString::to_string).collect()),
            secrets: Vec::new(),
            project_sid: None,
            app_secret: None,
        }
    }
}

/// Sends a hook a random text, of which it must answer the MD5, as `{"result": "…"}` or as it is, in any case.
pub(super) async fn verify(client: &Client, target: &Target, words: &SpRecord) -> Result<(), Unverified> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|_| Unverified::Refused(Refusal::Busy))?;
    let text = format!("{:032x}", u128::from_ne_bytes(random));
    let json = http::HeaderValue::from_static("application/json; charset=utf-8");
    let headers = [(header::CONTENT_TYPE, json)].into_iter().collect();
    let wrong = |error: String| Unverified::Wrong(format!("the hook does not verify: {error}"));
    let body = words.verification(&text).into();
    let answer = client.post_and_read(target, headers, body, clock::now()).await.map_err(wrong)?;
    if !answer.status.is_success() {
        return Err(wrong(format!("it answers {}", answer.status)));
    }
    if is_answer(&answer.body, &text) {
        Ok(())
    } else {
        Err(wrong("it does not answer the MD5 of the payload".to_owned()))
    }
}

fn is_answer(said: &[u8], text: &str) -> bool {
    #[derive(Deserialize)]
    struct Said {
        result: String,
    }
    let said = match serde_json::from_slice::<Said>(said) {
        Ok(said) => said.result,
        Err(_) => String::from_utf8_lossy(said).into_owned(),
    };
    said.trim().trim_matches('"').eq_ignore_ascii_case(&sign::md5(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `printf 'привет' | md5sum`.
    #[test]
    fn the_answer_is_the_md5_of_the_text() {
        let text = "привет";
        for (said, is_good) in [
            ("608333adc72f545078ede3aad71bfe74", true),
            ("608333ADC72F545078EDE3AAD71BFE74\n", true),
            ("\"608333adc72f545078ede3aad71bfe74\"", true),
            (r#"{"result": "608333adc72f545078ede3aad71bfe74"}"#, true),
            (r#"{"result": "608333ADC72F545078EDE3AAD71BFE74", "more": 1}"#, true),
            ("608333adc72f545078ede3aad71bfe75", false),
            (r#"{"answer": "608333adc72f545078ede3aad71bfe74"}"#, false),
            ("", false),
            ("привет", false),
        ] {
            assert_eq!(is_answer(said.as_bytes(), text), is_good, "{said}");
        }
    }
}
