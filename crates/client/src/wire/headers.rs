//! The `headers` of `construct`: names and values, each name once.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserializer;
use serde::de::{self, MapAccess, Visitor};

/// An object whose members each come once: of two, one would be lost.
pub(super) fn each_once<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, String>, D::Error> {
    struct EachOnce;
    impl<'de> Visitor<'de> for EachOnce {
        type Value = BTreeMap<String, String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut found = BTreeMap::new();
            while let Some((name, value)) = map.next_entry::<String, String>()? {
                if found.contains_key(&name) {
                    return Err(de::Error::custom(format_args!("{name} once: it is given twice")));
                }
                found.insert(name, value);
            }
            Ok(found)
        }
    }
    deserializer.deserialize_map(EachOnce)
}

#[cfg(feature = "schema")]
pub(super) fn schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    use super::limits::{HEADER_MAX, HEADERS_MAX};
    schemars::json_schema!({
        "type": "object",
        "maxProperties": HEADERS_MAX,
        "propertyNames": { "type": "string", "minLength": 1, "maxLength": HEADER_MAX, "format": "header-name" },
        "additionalProperties": { "type": "string", "maxLength": HEADER_MAX, "format": "header-value" },
    })
}
