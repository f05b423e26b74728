//! `[[webhook]]`: where events are sent by POST, and `[webhooks]`, what all of them have in common.

use std::path::PathBuf;

use offhook_client::wire::WebhookFormat;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::secret::{self, Secret, optional_secret};
use super::value::{self, Network};
use crate::webhooks::Definition;

/// `[[webhook]]`; what a URL is told is the same over restarts, also when other keys change.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Webhook {
    /// `http://…` or `https://…`. Redirections are not followed.
    #[serde(serialize_with = "secret::serialize_url")]
    pub url: String,
    /// In what words it is told.
    pub format: WebhookFormat,
    /// The names of events, or beginnings of names and `*`; empty: all but those that must be named. Of the format `sprecord`
    /// its own names; empty: all.
    pub types: Vec<String>,
    /// `whsec_` and 24 to 64 bytes as base64, which signs what is sent; several while they are changed, with a space between.
    #[serde(with = "secrets")]
    #[schemars(with = "String")]
    pub secret: Vec<Secret>,
    /// Of the format `linkrtc`: the project.
    #[serde(deserialize_with = "value::text::<_, 256>")]
    pub project_sid: String,
    /// Of the format `linkrtc`: its secret.
    #[serde(with = "optional_secret")]
    #[schemars(with = "String")]
    pub app_secret: Option<Secret>,
    /// Of loopback, private, link-local and other networks of no use to the world those that it may be in.
    pub allow_networks: Vec<Network>,
}

/// `[webhooks]`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Webhooks {
    /// The authorities whose certificates are trusted, a file in PEM; empty for those that the system trusts.
    pub ca: PathBuf,
    /// What `allow_networks` is to a hook of this file, to those that `sys.event.webhook_add` adds.
    pub allow_networks: Vec<Network>,
}

impl Webhook {
    /// The hook, without what only the configuration may say.
    pub fn definition(&self) -> Definition {
        Definition {
            url: self.url.clone(),
            format: self.format,
            types: Some(self.types.clone()).filter(|types| !types.is_empty()),
            project_sid: Some(self.project_sid.clone()).filter(|sid| !sid.is_empty()),
            app_secret: self.app_secret.as_ref().map(|secret| secret.expose().to_owned()),
            secrets: self.secret.iter().map(|secret| secret.expose().to_owned()).collect(),
        }
    }
}

/// Secrets with spaces between them.
mod secrets {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    use super::Secret;

    pub(super) fn serialize<S: Serializer>(secrets: &[Secret], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(if secrets.is_empty() { "" } else { "<redacted>" })
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Secret>, D::Error> {
        let text = String::deserialize(deserializer)?;
        let secrets = text.split_ascii_whitespace().map(|word| Secret::try_from(word.to_owned()));
        secrets.collect::<Result<_, _>>().map_err(D::Error::custom)
    }
}
