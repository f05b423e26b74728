//! What the configuration knows and does not show: passwords, and the tokens of applications with what each may do.

use std::fmt;

use offhook_client::wire::Scope;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

/// A text that is shown to nobody: neither `Debug` nor `print-config` prints it.
#[derive(Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String")]
pub struct Secret(String);

impl Secret {
    /// The secret itself, to compare with and to send.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Secret {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("a secret is one or more visible ASCII characters, no spaces".into());
        }
        Ok(Self(text))
    }
}

impl Serialize for Secret {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("<redacted>")
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<redacted>")
    }
}

/// A URL as it is shown: without the user of its authority and the values of its query, which are secrets often enough.
pub fn shown_url(url: &str) -> String {
    let (place, query) = url.split_once('?').map_or((url, None), |(place, query)| (place, Some(query)));
    let mut shown = match place.split_once("://") {
        Some((scheme, rest)) => {
            let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            match authority.rsplit_once('@') {
                Some((_, host)) => format!("{scheme}://<redacted>@{host}{path}"),
                None => place.to_owned(),
            }
        }
        None => place.to_owned(),
    };
    for (at, pair) in query.into_iter().flat_map(|query| query.split('&')).enumerate() {
        shown.push(if at == 0 { '?' } else { '&' });
        if let Some((name, _)) = pair.split_once('=') {
            shown.push_str(name);
            shown.push('=');
        }
        shown.push_str("<redacted>");
    }
    shown
}

/// Where a URL is, for logs: its scheme, host and path.
pub fn place_of_url(url: &str) -> String {
    let shown = shown_url(url);
    let place = shown.split('?').next().unwrap_or_default();
    place.replacen("<redacted>@", "", 1)
}

/// Shows a URL, where a configuration is.
pub(super) fn serialize_url<S: serde::Serializer>(url: &str, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&shown_url(url))
}

/// A secret that an empty text stands in for.
pub(super) mod optional_secret {
    use super::{Deserialize, Deserializer, Secret, Serialize};
    use serde::{Serializer, de::Error};

    pub(crate) fn serialize<S: Serializer>(
        secret: &Option<Secret>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match secret {
            Some(secret) => secret.serialize(serializer),
            None => serializer.serialize_str(""),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Secret>, D::Error> {
        let text = String::deserialize(deserializer)?;
        let secret = if text.is_empty() { None } else { Some(Secret::try_from(text)) };
        secret.transpose().map_err(D::Error::custom)
    }
}

/// What an application shows, and what it may do with it: `SECRET` or `SCOPE:SECRET`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String")]
pub struct Token {
    /// How far it reaches.
    pub scope: Scope,
    secret: Secret,
}

impl Token {
    /// What is shown, to compare with.
    pub fn expose(&self) -> &str {
        self.secret.expose()
    }
}

impl TryFrom<String> for Token {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let (scope, secret) = match text.split_once(':') {
            // What a token reached when there were no scopes.
            None => (Scope::Admin, text.as_str()),
            Some((name, secret)) => {
                let scope = Scope::from_name(name).ok_or_else(|| {
                    format!("before the colon of a token stands {}", Scope::ALL.map(Scope::name).join(", "))
                })?;
                (scope, secret)
            }
        };
        if secret.contains(':') {
            return Err("a token has no colon but the one after its scope".into());
        }
        Ok(Self { scope, secret: secret.to_owned().try_into()? })
    }
}

impl Serialize for Token {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{}:<redacted>", self.scope.name()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<(Scope, &str), &str>) {
        match (Token::try_from(text.to_owned()), expected) {
            (Ok(token), Ok((scope, secret))) => {
                assert_eq!((token.scope, token.expose()), (scope, secret));
                let shown = format!("{token:?}{}", serde_json::to_string(&token).unwrap());
                assert!(!shown.contains(secret), "{shown}");
            }
            (Err(problem), Err(part)) => assert!(problem.contains(part), "{text}: {problem}"),
            (token, expected) => panic!("{text}: {token:?}, not {expected:?}"),
        }
    }

    #[test]
    fn a_token_says_how_far_it_reaches() {
        check("s3cret", Ok((Scope::Admin, "s3cret")));
        check("read:s3cret", Ok((Scope::Read, "s3cret")));
        check("call:s3cret", Ok((Scope::Call, "s3cret")));
        check("admin:s3cret", Ok((Scope::Admin, "s3cret")));
    }

    #[test]
    fn a_url_is_shown_without_what_is_secret_in_it() {
        for (url, shown, place) in [
            ("https://app.example/hook", "https://app.example/hook", "https://app.example/hook"),
            (
                "https://u:p@ss@app.example:8443/hook?key=s3cret&s3cret&a=b=c",
                "https://<redacted>@app.example:8443/hook?key=<redacted>&<redacted>&a=<redacted>",
                "https://app.example:8443/hook",
            ),
            ("http://u@h", "http://<redacted>@h", "http://h"),
            ("https://h/a@b?x=1", "https://h/a@b?x=<redacted>", "https://h/a@b"),
            ("", "", ""),
            ("no url", "no url", "no url"),
        ] {
            assert_eq!((shown_url(url).as_str(), place_of_url(url).as_str()), (shown, place), "{url}");
        }
    }

    /// A scope that is misspelt is no secret of its own, which would reach everything.
    #[test]
    fn what_is_no_token() {
        check("reed:s3cret", Err("read, call, admin"));
        check("Read:s3cret", Err("read, call, admin"));
        check(":s3cret", Err("read, call, admin"));
        check("read:", Err("visible ASCII"));
        check("read:a:b", Err("no colon"));
        check("", Err("visible ASCII"));
        check("s3 cret", Err("visible ASCII"));
    }
}
