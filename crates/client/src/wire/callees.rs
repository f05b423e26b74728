//! The `to_uri` of `construct`: one callee, or several in the order to try them.

use std::fmt;

use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// One callee, or several in the order to try them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Callees {
    /// One URI.
    One(String),
    /// One to eight URIs.
    Several(Vec<String>),
}

impl Default for Callees {
    fn default() -> Self {
        Self::One(String::new())
    }
}

impl From<&str> for Callees {
    fn from(uri: &str) -> Self {
        Self::One(uri.to_owned())
    }
}

impl From<String> for Callees {
    fn from(uri: String) -> Self {
        Self::One(uri)
    }
}

impl From<Vec<String>> for Callees {
    fn from(uris: Vec<String>) -> Self {
        Self::Several(uris)
    }
}

impl<'de> Deserialize<'de> for Callees {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(CalleesVisitor)
    }
}

struct CalleesVisitor;

impl<'de> Visitor<'de> for CalleesVisitor {
    type Value = Callees;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string or a list of strings")
    }

    fn visit_str<E: de::Error>(self, uri: &str) -> Result<Callees, E> {
        Ok(Callees::One(uri.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Callees, A::Error> {
        Vec::deserialize(de::value::SeqAccessDeserializer::new(seq)).map(Callees::Several)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Callees {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Callees".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "A URI, or a list of URIs in the order to try them",
            "oneOf": [
                { "type": "string", "minLength": 1, "maxLength": super::limits::URI_MAX, "format": "sip-uri" },
                {
                    "type": "array", "minItems": 1, "maxItems": super::limits::CALLEES_MAX,
                    "items": { "type": "string", "minLength": 1, "maxLength": super::limits::URI_MAX, "format": "sip-uri" }
                }
            ]
        })
    }
}
