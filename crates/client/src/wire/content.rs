//! What `play_start` and `receive_dtmf_start` play: a string, or a list of `[what, type, options]`.

use std::fmt;

use serde::de::{self, SeqAccess, Visitor};
use serde::ser::SerializeTuple;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What to play.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Content {
    /// A file, or several joined by `|`.
    Files(String),
    /// Up to 30 items, one after the other.
    Items(Vec<Item>),
}

/// One item of a list: `[what, type, options]`, the two last optional.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// A file name, a number or a text, as `kind` asks for.
    pub what: What,
    /// The document's type: 0 file, 1 digits one by one, 2 number, 3 money, 4 date and time, 5 duration, 6 money in yuan, jiao
    /// and fen, 7 files joined by `|`, 10 a text that is spoken (text-to-speech), below 0 skip.
    pub kind: i64,
    /// `key=value;key=value`: `gain` in dB, −40 to 20; `lang` of a value that is put into words, `zh` or `en`. `voice` of a
    /// text that is spoken, as whoever speaks it calls it.
    pub options: String,
}

/// The first element of an item.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum What {
    /// A string.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// A number with a fraction.
    Decimal(f64),
}

impl Default for Content {
    fn default() -> Self {
        Self::Files(String::new())
    }
}

impl From<&str> for Content {
    fn from(files: &str) -> Self {
        Self::Files(files.to_owned())
    }
}

impl From<String> for Content {
    fn from(files: String) -> Self {
        Self::Files(files)
    }
}

impl From<Vec<Item>> for Content {
    fn from(items: Vec<Item>) -> Self {
        Self::Items(items)
    }
}

impl Serialize for Item {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut tuple = serializer.serialize_tuple(3)?;
        tuple.serialize_element(&self.what)?;
        tuple.serialize_element(&self.kind)?;
        tuple.serialize_element(&self.options)?;
        tuple.end()
    }
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ContentVisitor)
    }
}

impl<'de> Deserialize<'de> for Item {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ItemVisitor)
    }
}

impl<'de> Deserialize<'de> for What {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WhatVisitor)
    }
}

struct ContentVisitor;

impl<'de> Visitor<'de> for ContentVisitor {
    type Value = Content;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string or a list of [what, type, options]")
    }

    fn visit_str<E: de::Error>(self, files: &str) -> Result<Content, E> {
        Ok(Content::Files(files.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Content, A::Error> {
        Vec::deserialize(de::value::SeqAccessDeserializer::new(seq)).map(Content::Items)
    }
}

struct ItemVisitor;

impl<'de> Visitor<'de> for ItemVisitor {
    type Value = Item;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of [what, type, options]")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Item, A::Error> {
        let what = seq.next_element()?.ok_or_else(|| de::Error::invalid_length(0, &self))?;
        let kind = seq.next_element()?.unwrap_or_default();
        let options = seq.next_element()?.unwrap_or_default();
        match seq.next_element::<de::IgnoredAny>()? {
            None => Ok(Item { what, kind, options }),
            Some(_) => Err(de::Error::invalid_length(4, &self)),
        }
    }
}

struct WhatVisitor;

impl Visitor<'_> for WhatVisitor {
    type Value = What;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string or a number")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<What, E> {
        Ok(What::Text(text.to_owned()))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<What, E> {
        Ok(What::Integer(number))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<What, E> {
        i64::try_from(number)
            .map(What::Integer)
            .map_err(|_| de::Error::invalid_value(de::Unexpected::Unsigned(number), &self))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<What, E> {
        Ok(What::Decimal(number))
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Content {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Content".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "A file, several joined by |, or a list of items [what, type, options]. Types: 0 a file; \
                            1 digits one by one; 2 a number; 3 money (yuan with a fraction, or dollars and cents); \
                            4 YYYY-mm-dd HH:MM:SS, YYYY-mm-dd HH:MM, YYYY-mm-dd, YYYY-mm, HH:MM:SS, HH:MM or RFC 3339; \
                            5 a duration, HH:MM:SS or HH:MM, each of 0 to 99, or whole seconds; \
                            6 money in yuan, jiao and fen; 7 files joined by |; 10 a text that is spoken; below 0 skip",
            "oneOf": [
                { "type": "string", "minLength": 1, "maxLength": super::limits::FILES_LENGTH_MAX, "format": "file-names" },
                { "type": "array", "minItems": 1, "maxItems": super::limits::ITEMS_MAX, "items": {
                    "type": "array", "minItems": 1, "maxItems": 3,
                    "items": [
                        { "description": "what", "type": ["string", "number"], "maxLength": super::limits::FILES_LENGTH_MAX, "format": "item-what" },
                        { "description": "type", "type": "integer", "minimum": super::limits::KIND_MIN, "maximum": 10, "default": 0 },
                        { "description": "options, key=value;key=value: gain in dB, -40 to 20; lang, zh or en; voice of a text that is spoken", "type": "string", "maxLength": super::limits::OPTIONS_MAX, "format": "item-options", "default": "" }
                    ]
                } }
            ]
        })
    }
}
