//! What a web hook is: where, in what words, of what, and by which secrets it knows us.

use std::fmt;

use http::Uri;
use offhook_client::wire::WebhookFormat;
use offhook_client::wire::limits::{CREDENTIAL_MAX, PATTERNS_MAX, SECRETS_MAX, URI_MAX};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::sign;
use super::words::KINDS;
use crate::config::secret::place_of_url;
use crate::events::{Types, UnknownPattern};

/// A web hook, as the configuration or an application defines it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Definition {
    /// Where it is.
    pub url: String,
    /// In what words it is told.
    pub format: WebhookFormat,
    /// Patterns of the names of events; none: all but those that must be named (`call-api.md` §7 has them as opt-in, and what
    /// digits a caller presses is not to be sent by mistake).
    pub types: Option<Vec<String>>,
    /// Each as `whsec_…`.
    pub secrets: Vec<String>,
    /// Of LinkRTC: the project.
    #[serde(default)]
    pub project_sid: Option<String>,
    /// Of LinkRTC: its secret.
    #[serde(default)]
    pub app_secret: Option<String>,
}

/// The most characters of a name that is none that are shown: the longest name of an event has 34.
const SHOWN_MAX: usize = 64;

/// What is wrong with a definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Which key, or parameter.
    pub key: &'static str,
    /// What was expected there.
    pub expected: String,
}

impl Definition {
    /// What others call it: the same for the same URL in the same format, over restarts as well.
    pub fn id(&self) -> String {
        let digest = Sha256::digest(format!("{:?}\n{}", self.format, self.url));
        digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }

    /// Whether it is told of inbound calls in the words of the API, so that it can act on them. The other formats are for who looks on.
    pub fn hears_of_calls(&self) -> bool {
        let all = || Ok(Types::usual());
        let types = self.types.as_deref().map_or_else(all, Types::parse);
        self.format == WebhookFormat::Native && types.is_ok_and(|types| types.has_calls())
    }

    /// The first fault of it.
    ///
    /// # Errors
    /// The key, and what is expected there.
    pub fn check(&self) -> Result<(), Fault> {
        let fault = |key, expected: String| Err(Fault { key, expected });
        if !is_url(&self.url) {
            let expected =
                format!("http://HOST… or https://HOST…, no user, no fragment, at most {URI_MAX} bytes");
            return fault("url", expected);
        }
        self.check_types()?;
        let least = usize::from(self.format == WebhookFormat::Native);
        let are_good = self.secrets.iter().all(|secret| sign::key(secret).is_some());
        if !(least..=SECRETS_MAX).contains(&self.secrets.len()) || !are_good {
            let expected = format!(
                "whsec_ and 24 to 64 bytes as base64, or up to {SECRETS_MAX} of those with a space between"
            );
            return fault("secret", expected);
        }
        let is_linkrtc = self.format == WebhookFormat::Linkrtc;
        for (key, value) in [("project_sid", &self.project_sid), ("app_secret", &self.app_secret)] {
            let is_word = |text: &String| {
                (1..=CREDENTIAL_MAX).contains(&text.len()) && !text.chars().any(char::is_control)
            };
            if value.as_ref().map_or(is_linkrtc, |text| !is_linkrtc || !is_word(text)) {
                let expected =
                    format!("1 to {CREDENTIAL_MAX} bytes in the format linkrtc, and nothing otherwise");
                return fault(key, expected);
            }
        }
        Ok(())
    }

    fn check_types(&self) -> Result<(), Fault> {
        let fault = |expected: String| Err(Fault { key: "types", expected });
        let Some(types) = &self.types else { return Ok(()) };
        if types.is_empty() || types.len() > PATTERNS_MAX {
            return fault(format!("1 to {PATTERNS_MAX} names of events"));
        }
        let (wrong, expected) = match self.format {
            WebhookFormat::Native => {
                let unknown = Types::parse(types).err().map(|unknown| unknown.index);
                (unknown, "names of events, or beginnings of some and *".to_owned())
            }
            WebhookFormat::Sprecord => {
                let unknown = types.iter().position(|name| !KINDS.contains(&name.as_str()));
                (unknown, format!("some of {}", KINDS.join(", ")))
            }
            WebhookFormat::Linkrtc => {
                return fault("nothing in the format linkrtc, which tells the states of calls".to_owned());
            }
        };
        match wrong {
            // As much of it as says which one it is: an application may have sent anything.
            Some(index) => {
                let shown: String = types[index].chars().take(SHOWN_MAX).collect();
                fault(format!("{expected}: {shown:?} is none"))
            }
            None => Ok(()),
        }
    }

    /// The events that are wanted.
    pub(super) fn patterns(&self) -> Result<Types, UnknownPattern> {
        self.types.as_ref().map_or_else(|| Ok(Types::usual()), |types| Types::parse(types))
    }
}

impl fmt::Debug for Definition {
    // Secrets stay out of logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Definition")
            .field("url", &place_of_url(&self.url))
            .field("format", &self.format)
            .finish_non_exhaustive()
    }
}

/// Whether this is the URL of something that can be sent to.
pub(super) fn is_url(text: &str) -> bool {
    let is_good = |url: Uri| {
        let Some(authority) = url.authority() else { return false };
        // Nothing but a host and a port that is one: no user, and no number that is none.
        let rest = authority.as_str().strip_prefix(authority.host());
        let is_port = authority.port_u16().map_or(rest == Some(""), |port| port != 0 && rest.is_some());
        matches!(url.scheme_str(), Some("http" | "https")) && !authority.host().is_empty() && is_port
    };
    text.len() <= URI_MAX && !text.contains('#') && text.parse().is_ok_and(is_good)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Definition {
        Definition {
            url: "https://app.example/hook?a=b".to_owned(),
            format: WebhookFormat::Native,
            types: None,
            secrets: vec!["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned()],
            project_sid: None,
            app_secret: None,
        }
    }

    #[test]
    fn the_name_that_is_none_is_told() {
        let told = |format, types: [&str; 2]| {
            let types = Some(types.map(str::to_owned).to_vec());
            Definition { format, types, ..good() }.check().unwrap_err().expected
        };
        let expected = "names of events, or beginnings of some and *: \"sys.cal.*\" is none";
        assert_eq!(told(WebhookFormat::Native, ["sys.call.*", "sys.cal.*"]), expected);
        let of_sprecord = told(WebhookFormat::Sprecord, ["call_end", "callend"]);
        assert!(of_sprecord.ends_with(": \"callend\" is none"), "{of_sprecord}");
    }

    #[track_caller]
    fn refused(key: &str, definition: &Definition) {
        assert_eq!(definition.check().map_err(|fault| fault.key), Err(key), "{definition:?}");
    }

    #[test]
    fn a_definition_is_checked_key_by_key() {
        assert_eq!(good().check(), Ok(()));
        for url in [
            "",
            "app.example",
            "ftp://app.example/",
            "https://",
            "https:///x",
            "https://u:p@app.example/",
            "https://app.example/#a",
            "https://app.example:0/",
            "https://app.example:99999/",
            "https://app exa.example/",
            "https://app.example/\r\nX: y",
        ] {
            refused("url", &Definition { url: url.to_owned(), ..good() });
        }
        refused("url", &Definition { url: format!("https://h/{}", "a".repeat(URI_MAX)), ..good() });
        for types in [vec![], vec!["sys.call.on_rining".to_owned()], vec!["*".to_owned(); 65]] {
            refused("types", &Definition { types: Some(types), ..good() });
        }
        for secret in ["", "whsec_", "whsec_AAAA", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS", "secret"] {
            refused("secret", &Definition { secrets: vec![secret.to_owned()], ..good() });
        }
        let secrets = vec![good().secrets[0].clone(); 5];
        refused("secret", &Definition { secrets, ..good() });
        refused("secret", &Definition { secrets: Vec::new(), ..good() });
    }

    #[test]
    fn each_format_has_its_own_keys() {
        let some = |text: &str| Some(text.to_owned());
        refused("project_sid", &Definition { project_sid: some("p"), ..good() });
        let linkrtc = || Definition { format: WebhookFormat::Linkrtc, secrets: Vec::new(), ..good() };
        refused("project_sid", &Definition { app_secret: some("s"), ..linkrtc() });
        refused("app_secret", &Definition { project_sid: some("p"), ..linkrtc() });
        let linkrtc = || Definition { project_sid: some("p"), app_secret: some("s"), ..linkrtc() };
        assert_eq!(linkrtc().check(), Ok(()));
        refused("types", &Definition { types: Some(vec!["sys.call.*".to_owned()]), ..linkrtc() });
        let sprecord = |kind: &str| Definition {
            format: WebhookFormat::Sprecord,
            secrets: Vec::new(),
            types: Some(vec![kind.to_owned()]),
            ..good()
        };
        assert_eq!(sprecord("call_end").check(), Ok(()));
        refused("types", &sprecord("sys.call.*"));
        refused("types", &sprecord("verification"));
    }

    #[test]
    fn the_id_is_of_the_url_and_the_format() {
        let other = Definition { url: "https://app.example/other".to_owned(), ..good() };
        let types = Definition { types: Some(vec!["*".to_owned()]), secrets: Vec::new(), ..good() };
        assert_eq!(good().id(), types.id());
        assert_ne!(good().id(), other.id());
        assert_eq!(good().id().len(), 16);
    }

    #[test]
    fn secrets_are_not_logged() {
        assert!(!format!("{:?}", good()).contains("MfKQ"));
    }
}
