//! Parameters by name or by position, into the method's type, with errors that name the parameter.
//!
//! ```text
//!   {"res_id": …, "cause": 486}  ─┐                        ┌─ res_id: …
//!   [ …, 486 ]                   ─┴─▶ Params ─▶ serde ─────┴─ cause: 486
//! ```
//! serde's derived code asks a [`Deserializer`] for a struct and tells it the names of the fields in their order. That
//! order is the document's order of parameters, so the type alone says what the third position means.

use std::borrow::Cow;
use std::fmt;

use offhook_client::wire::limits::REQUEST_KEY_MAX;
use offhook_client::wire::{ErrorData, REQUEST_KEY};
use schemars::{JsonSchema, SchemaGenerator};
use serde::de::value::CowStrDeserializer;
use serde::de::{self, DeserializeOwned, DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::Value;
use serde_json::value::RawValue;
use serde_path_to_error::{Deserializer as Tracked, Track};

/// How deep parameters may be nested. The contract needs three levels.
const DEPTH_MAX: usize = 32;

/// A parameter that is not as it should be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Invalid {
    /// Which.
    pub(crate) param: String,
    /// What it should have been.
    pub(crate) expected: String,
}

impl Invalid {
    pub(crate) fn new(param: impl Into<String>, expected: impl Into<String>) -> Self {
        Self { param: param.into(), expected: expected.into() }
    }
}

impl From<Invalid> for ErrorData {
    fn from(invalid: Invalid) -> Self {
        Self::InvalidParams { param: invalid.param, expected: invalid.expected }
    }
}

/// The parameters of a request as they came; none is like an empty object.
pub(crate) fn parse<M: DeserializeOwned + JsonSchema>(raw: Option<&str>) -> Result<M, Invalid> {
    parse_with(raw, None)
}

/// The parameters of a request that may carry a `request_key` beside them, and that key.
pub(crate) fn parse_keyed<M: DeserializeOwned + JsonSchema>(
    raw: Option<&str>,
) -> Result<(M, Option<String>), Invalid> {
    let mut key = None;
    let params = parse_with(raw, Some(&mut key))?;
    Ok((params, key))
}

fn parse_with<M: DeserializeOwned + JsonSchema>(
    raw: Option<&str>,
    key: Option<&mut Option<String>>,
) -> Result<M, Invalid> {
    let json = raw.unwrap_or("{}");
    if too_deep(json) {
        return Err(Invalid::new("params", format!("at most {DEPTH_MAX} levels of nesting")));
    }
    M::deserialize(Params { json, values: values::<M>, key })
}

/// The names of the parameters of a method, in their order.
pub(crate) fn names<M: DeserializeOwned>() -> &'static [&'static str] {
    match M::deserialize(Names) {
        Err(Fields(fields)) => fields,
        Ok(_) => &[],
    }
}

struct Params<'de, 'k> {
    json: &'de str,
    values: Values,
    /// Where a `request_key` goes; none: there is no such parameter.
    key: Option<&'k mut Option<String>>,
}

/// What the schema says that a parameter may be, where it says more than a type.
type Values = fn(&str) -> Option<String>;

impl<'de> Deserializer<'de> for Params<'de, '_> {
    type Error = Invalid;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Invalid> {
        let mut named = match self.json.trim_start().as_bytes().first() {
            Some(b'{') => by_name(self.json)?,
            Some(b'[') => by_position(self.json, fields)?,
            _ => return Err(Invalid::new("params", "an object or an array")),
        };
        if let Some(key) = self.key {
            *key = take_key(&mut named)?;
        }
        visitor.visit_map(Named { params: named.into_iter(), current: None, values: self.values })
    }

    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Invalid> {
        Err(de::Error::custom("parameters are a struct"))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

/// Takes the `request_key` out of what the method itself is told.
fn take_key(params: &mut Vec<Param<'_>>) -> Result<Option<String>, Invalid> {
    let mut keys = params.extract_if(.., |(name, _)| name == REQUEST_KEY);
    let (first, second) = (keys.next(), keys.next());
    if second.is_some() {
        return Err(de::Error::duplicate_field(REQUEST_KEY));
    }
    let Some((_, value)) = first else { return Ok(None) };
    let key: Option<String> = serde_json::from_str(value.get()).map_err(|_| no_key())?;
    let is_key = |key: &str| {
        let printable = key.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
        (1..=REQUEST_KEY_MAX).contains(&key.len()) && printable
    };
    if key.as_deref().is_none_or(is_key) { Ok(key) } else { Err(no_key()) }
}

fn no_key() -> Invalid {
    Invalid::new(REQUEST_KEY, format!("null, or 1 to {REQUEST_KEY_MAX} printable ASCII characters"))
}

type Param<'de> = (Cow<'de, str>, &'de RawValue);

fn by_name(raw: &str) -> Result<Vec<Param<'_>>, Invalid> {
    struct Pairs;
    impl<'de> Visitor<'de> for Pairs {
        type Value = Vec<Param<'de>>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        // A map would lose a parameter that is given twice; the method's type refuses it.
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut params = Vec::new();
            while let Some((name, value)) = map.next_entry::<String, &RawValue>()? {
                params.push((Cow::Owned(name), value));
            }
            Ok(params)
        }
    }
    serde_json::Deserializer::from_str(raw)
        .deserialize_map(Pairs)
        .map_err(|error| Invalid::new("params", expected(&error)))
}

fn by_position<'de>(raw: &'de str, names: &'static [&'static str]) -> Result<Vec<Param<'de>>, Invalid> {
    let values: Vec<&RawValue> =
        serde_json::from_str(raw).map_err(|error| Invalid::new("params", expected(&error)))?;
    if values.len() > names.len() {
        let most = format!("at most {} parameters: {}", names.len(), names.join(", "));
        return Err(Invalid::new(format!("[{}]", names.len()), most));
    }
    Ok(names.iter().map(|&name| Cow::Borrowed(name)).zip(values).collect())
}

/// Hands the parameters to the method's type one by one.
struct Named<'de> {
    params: std::vec::IntoIter<Param<'de>>,
    current: Option<Param<'de>>,
    values: Values,
}

impl<'de> MapAccess<'de> for Named<'de> {
    type Error = Invalid;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Invalid> {
        self.current = self.params.next();
        let Some((name, _)) = &self.current else { return Ok(None) };
        seed.deserialize(CowStrDeserializer::new(name.clone())).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Invalid> {
        let Some((name, value)) = self.current.take() else {
            return Err(de::Error::custom("a value without a name"));
        };
        let mut json = serde_json::Deserializer::from_str(value.get());
        let mut track = Track::new();
        let result = seed.deserialize(Tracked::new(&mut json, &mut track));
        result.map_err(|error| {
            let path = track.path().to_string();
            let place = match path.as_str() {
                "." => {
                    let expected = (self.values)(&name).unwrap_or_else(|| expected(&error));
                    return Invalid::new(name, expected);
                }
                place if place.starts_with('[') => path,
                place => format!(".{place}"),
            };
            Invalid::new(format!("{name}{place}"), expected(&error))
        })
    }
}

/// What serde_json expected, from its message: `invalid type: string "x", expected u32 at line 1 column 3`.
fn expected(error: &serde_json::Error) -> String {
    let message = error.to_string();
    let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(message, _)| message);
    let says_so = message.starts_with("expected ") || message.contains(", expected ");
    if error.is_syntax() && !says_so {
        // It says what is wrong, and not what is expected: half of a surrogate pair, for one.
        return format!("valid JSON ({message})");
    }
    match message.rsplit_once(", expected ").map_or(message, |(_, expected)| expected) {
        "i64" => "an integer".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "a sequence" => "a list".to_owned(),
        "a map" => "an object".to_owned(),
        other => other.to_owned(),
    }
}

/// The values that parameter `param` of `M` may have, if its schema lists them or it is an integer. The type that reads
/// an integer would tell its own bounds instead, which are not the parameter's.
fn values<M: JsonSchema>(param: &str) -> Option<String> {
    let schema = M::json_schema(&mut SchemaGenerator::default());
    let schema = schema.get("properties")?.get(param)?;
    let is = |name: &str| match &schema["type"] {
        Value::Array(types) => types.iter().any(|kind| kind == name),
        kind => kind == name,
    };
    if let Some(listed) = schema["enum"].as_array() {
        return Some(one_of(listed));
    }
    if !is("integer") {
        return None;
    }
    let or_null = if is("null") { "null, or " } else { "" };
    Some(match (schema["minimum"].as_i64(), schema["maximum"].as_i64()) {
        (Some(least), Some(most)) if least == most => one_of(&[least.into()]),
        (Some(least), Some(most)) => format!("{or_null}an integer of {least} to {most}"),
        (Some(least), None) => format!("{or_null}an integer of at least {least}"),
        _ => format!("{or_null}an integer"),
    })
}

fn one_of(values: &[Value]) -> String {
    let values: Vec<String> = values.iter().map(ToString::to_string).collect();
    match values.as_slice() {
        [only] => format!("{only}: not supported by this version"),
        [others @ .., last] => format!("{} or {last}", others.join(", ")),
        [] => "nothing".to_owned(),
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: expected {}", self.param, self.expected)
    }
}

impl std::error::Error for Invalid {}

impl de::Error for Invalid {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new("params", message.to_string())
    }

    fn unknown_field(field: &str, names: &'static [&'static str]) -> Self {
        let known = if names.is_empty() {
            "no parameters".to_owned()
        } else {
            format!("one of {}", names.join(", "))
        };
        Self::new(field, format!("{known}; it is an unknown parameter"))
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(field, "a value: the parameter is required")
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self::new(field, "a single value: the parameter is given twice")
    }
}

/// Whether `json` nests deeper than [`DEPTH_MAX`]; it may be broken otherwise.
fn too_deep(json: &str) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                depth += 1;
                if depth > DEPTH_MAX {
                    return true;
                }
            }
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

/// Asks a type for the names of its fields, and for nothing else.
struct Names;

#[derive(Debug)]
struct Fields(&'static [&'static str]);

impl<'de> Deserializer<'de> for Names {
    type Error = Fields;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        _visitor: V,
    ) -> Result<V::Value, Fields> {
        Err(Fields(fields))
    }

    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Fields> {
        Err(Fields(&[]))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

impl fmt::Display for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl std::error::Error for Fields {}

impl de::Error for Fields {
    fn custom<T: fmt::Display>(_message: T) -> Self {
        Self(&[])
    }
}

#[cfg(test)]
mod tests {
    use offhook_client::wire;

    use super::*;

    #[track_caller]
    fn refused<M: DeserializeOwned + JsonSchema + fmt::Debug>(raw: &str, param: &str, expected: &str) {
        assert_eq!(parse::<M>(Some(raw)).unwrap_err(), Invalid::new(param, expected), "{raw}");
    }

    #[test]
    fn by_name_and_by_position_are_the_same() {
        let by_name: wire::PlayStart =
            parse(Some(r##"{"repeat": 2, "content": "a.wav", "finish_keys": "#", "res_id": "r"}"##)).unwrap();
        let by_position: wire::PlayStart = parse(Some(r##" ["r", "a.wav", "#", 2] "##)).unwrap();
        assert_eq!(by_name, by_position);
        assert_eq!((by_name.res_id.as_str(), by_name.repeat), ("r", 2));
    }

    #[test]
    fn what_is_left_out_has_the_documents_default() {
        let params: wire::ReceiveDtmfStart = parse(Some(r#"["r"]"#)).unwrap();
        let expected = wire::ReceiveDtmfStart {
            res_id: "r".to_owned(),
            valid_keys: "0123456789*#ABCD".to_owned(),
            max_keys: 11,
            finish_keys: "#".to_owned(),
            first_key_timeout: 45,
            continues_keys_timeout: 30,
            play_content: None,
            play_repeat: 0,
            if_break_on_key: true,
            including_finish_key: false,
            flush: false,
        };
        assert_eq!(params, expected);
        assert_eq!(parse::<wire::Drop>(Some(r#"["r"]"#)).unwrap().cause, 603);
        assert_eq!(parse::<wire::List>(None).unwrap(), wire::List { state: None, after: None, limit: 100 });
    }

    #[test]
    fn the_wrong_parameter_is_named() {
        refused::<wire::Drop>("{}", "res_id", "a value: the parameter is required");
        refused::<wire::Drop>("[]", "res_id", "a value: the parameter is required");
        refused::<wire::Drop>(
            r#"{"res_id": "r", "causes": 1}"#,
            "causes",
            "one of res_id, cause; it is an unknown parameter",
        );
        refused::<wire::Drop>(r#"["r", 486, 1]"#, "[2]", "at most 2 parameters: res_id, cause");
        refused::<wire::Drop>(r#"{"res_id": 5}"#, "res_id", "a string");
        refused::<wire::Drop>(r#"[null]"#, "res_id", "a string");
        refused::<wire::Drop>(
            r#"{"res_id": "r", "res_id": "s"}"#,
            "res_id",
            "a single value: the parameter is given twice",
        );
        refused::<wire::Discover>(r#"[1]"#, "[0]", "at most 0 parameters: ");
        refused::<wire::Discover>(r#"{"a": 1}"#, "a", "no parameters; it is an unknown parameter");
        refused::<wire::Drop>("5", "params", "an object or an array");
    }

    /// The parameter's own values, by the document of `sys.call` and the limits, whatever is wrong with the value.
    #[test]
    fn a_wrong_value_is_told_what_the_parameter_may_be() {
        for wrong in [r#""486""#, "-1", "486.5", "70000", "1e99", "1e400", "true", "null", "[486]", "{}"] {
            refused::<wire::Drop>(&format!(r#"["r", {wrong}]"#), "cause", "an integer of 300 to 699");
        }
        for wrong in [r#""60""#, "-1", "0.5", "4294967296", "null"] {
            let expected = "an integer of 1 to 604800";
            refused::<wire::Answer>(&format!(r#"["r", {wrong}]"#), "max_answer_seconds", expected);
        }
        refused::<wire::RecordStart>(
            r#"["r", 60, true, "f", "wav"]"#,
            "record_format",
            "1, 2, 3, 4, 5, 6, 7 or 8",
        );
        refused::<wire::Subscribe>(r#"["x"]"#, "after", "null, or an integer of 0 to 9007199254740991");
        refused::<wire::Construct>(r#"{"ring_play_mode": "x"}"#, "ring_play_mode", "an integer of 0 to 3");
        let volume = "null, or an integer of -40 to 20";
        refused::<wire::ConnectStart>(r#"{"local_volume": "x"}"#, "local_volume", volume);
        refused::<wire::ConnectStart>(r#"{"record_stereo": "x"}"#, "record_stereo", "true or false");
    }

    #[test]
    fn a_wrong_value_inside_a_parameter_is_named_by_its_place() {
        refused::<wire::PlayStart>(r#"["r", [["a.wav", "x"]]]"#, "content[0][1]", "an integer");
        refused::<wire::PlayStart>(
            r#"["r", [["a.wav"], 5]]"#,
            "content[1]",
            "a list of [what, type, options]",
        );
        refused::<wire::PlayStart>(r#"["r", [[]]]"#, "content[0]", "a list of [what, type, options]");
        refused::<wire::PlayStart>(
            r#"["r", [["a", 0, "", 1]]]"#,
            "content[0]",
            "a list of [what, type, options]",
        );
        refused::<wire::PlayStart>(r#"["r", {}]"#, "content", "a string or a list of [what, type, options]");
        refused::<wire::Construct>(r#"{"headers": {"X-A": 1}}"#, "headers.X-A", "a string");
        refused::<wire::Construct>(r#"{"codecs": ["PCMA", 8]}"#, "codecs[1]", "a string");
    }

    /// Half of a surrogate pair, alone and before something else (RFC 8259 §7).
    #[test]
    fn what_is_no_json_is_told_so() {
        for (half, problem) in [
            (r"\ud83d", "unexpected end of hex escape"),
            (r"\ud83d\u0041", "lone leading surrogate in hex escape"),
        ] {
            let expected = format!("valid JSON ({problem})");
            refused::<wire::Drop>(&format!(r#"{{"res_id": "{half}"}}"#), "res_id", &expected);
        }
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = |depth: usize| format!("[\"r\", {}{}]", "[".repeat(depth - 1), "]".repeat(depth - 1));
        refused::<wire::PlayStart>(&nested(33), "params", "at most 32 levels of nesting");
        refused::<wire::PlayStart>(&nested(100_000), "params", "at most 32 levels of nesting");
        assert_eq!(parse::<wire::PlayStart>(Some(&nested(32))).unwrap_err().param, "content[0][0]");
        // Brackets in strings are text.
        assert!(parse::<wire::Nop>(Some(&format!(r#"["\"{}"]"#, "[".repeat(100)))).is_ok());
    }

    #[test]
    fn names_are_in_the_documents_order() {
        assert_eq!(
            names::<wire::ConnectStart>(),
            [
                "res_id",
                "max_seconds",
                "call_res_id",
                "connect_mode",
                "record_file",
                "record_format",
                "local_volume",
                "remote_volume",
                "schedule_play_time",
                "schedule_play_file",
                "schedule_play_loop",
                "record_stereo",
                "mute_digits"
            ]
        );
        assert_eq!(names::<wire::Discover>(), [""; 0]);
    }
}
