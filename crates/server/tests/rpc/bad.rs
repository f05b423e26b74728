//! Every parameter of every method with everything that is wrong for it, read from the document that the server itself serves:
//! a parameter that is added is tried too, and one without bounds is a failure here.
//!
//! Nothing of it may come as far as the calls: their place is taken by one that fails the test.

use std::collections::BTreeMap;

use offhook::files::Directory;
use offhook_call::command::Command;
use offhook_client::wire::{FORMATS, UNSUBSCRIBE};
use offhook_client::{Client, Error};
use serde_json::{Map, Value, json};

use crate::methods::{construct, golden, golden_request};
use crate::server::{Asked, Server};

/// A wrong value of a parameter: what is wrong with it, and how it is told.
struct Wrong {
    what: String,
    value: Value,
    told: Told,
}

/// How a wrong value is told.
enum Told {
    /// `invalid_params`, with the parameter, or this place in it.
    Named(String),
    /// `file_forbidden`, with this place of a parameter and this name.
    Forbidden(String, String),
    /// `resource_not_found`, with this name; the answer of a method that only asks is `false`.
    Nobody(String),
}

/// What is thrown at a string of each format.
struct Hostile {
    formats: BTreeMap<&'static str, Strings>,
}

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const NO_SECRETS: &[&str] = &["whsec_", "whsec_AAAA", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_%2e%2e"];
const NO_URLS: &[&str] =
    &["app.example", "ftp://a/", "http://", "https://u@a/", "https://u:p@a/", "http://a/#b", "http:///a"];

/// A good string, letters that make one longer, and those that are wrong.
struct Strings {
    good: &'static str,
    filling: &'static str,
    wrong: Vec<String>,
}

fn list(file: &str, of: &str) -> Vec<String> {
    let path = format!("{}/../../fixtures/hostile/{file}.json", env!("CARGO_MANIFEST_DIR"));
    let lists: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    lists[of].as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

impl Hostile {
    fn new() -> Self {
        let control = || list("injection", "control");
        let and = |more: &[&str]| control().into_iter().chain(more.iter().map(ToString::to_string)).collect();
        let names = || list("names", "forbidden");
        let uris = control().into_iter().chain(list("injection", "uri")).collect();
        let hosts = control().into_iter().chain(list("injection", "host")).collect();
        let rows: [(&'static str, &'static str, &'static str, Vec<String>); 25] = [
            ("codec", "PCMA", "A", and(&["G729", "PCMA ", "PCMA/8000"])),
            ("country", "cn", "c", and(&["xx", "c", "CHN"])),
            ("credential", "alice", "a", control()),
            ("dial-string", "12,3#", "1", and(&["w", "1w", "E", "１", "1 2", "1;", "+1"])),
            ("display-name", "Alice", "a", control()),
            ("event-pattern", "sys.call.*", "a", and(&["sys.call.on_rining", "**", "*.on_ringing"])),
            ("file-name", "a.wav", "a", names()),
            ("file-names", "a.wav|b.wav", "a", names()),
            ("group", "a", "a", control()),
            ("header-name", "X-A", "X", and(&["Via", "Contact", "X-", "X-A:", "X A", "X-Ä", "", "X-A, X-B"])),
            ("header-value", "a", "a", control()),
            ("http-url", "https://app.example/", "a", and(NO_URLS)),
            (
                "item-options",
                "gain=1",
                "a",
                and(&["pitch=1", "gain=21", "lang=fr", "voice=../../a", "voice=-w", "gain"]),
            ),
            ("item-what", "a.wav", "a", names()),
            ("keys", "12#", "1", and(&["w", "1,2", "E", "１", "1 2", "+"])),
            ("media-type", "text/plain", "a", and(&["text", "text/", "/plain", "te xt/plain", "text/pläin"])),
            ("node-id", "0.0.0", "0", and(&["1.2.3", "0.0", "0.0.0.0", "0.0.0 "])),
            ("request-key", "k", "k", and(&["é", "\u{2028}", "ｋ"])),
            (
                "res-id",
                "0.0.0-sys.call-1",
                "0",
                and(&["x", "1.2.3-sys.call-1", "0.0.0-sys.call-01", "0.0.0-sys.call-"]),
            ),
            ("sip-host", "192.0.2.9", "a", hosts),
            ("sip-uri", "1000@192.0.2.9", "a", uris),
            // Whatever it is, it is written nowhere but into JSON and into bodies.
            ("text", "a", "a", Vec::new()),
            (
                "traceparent",
                "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
                "0",
                and(&[
                    "0af7651916cd43dd8448eb211c80319c",
                    "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
                    "00-00000000000000000000000000000000-b7ad6b7169203331-01",
                    "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
                    "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
                    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
                ]),
            ),
            (
                "webhook-id",
                "0123456789abcdef",
                "0",
                and(&["0123456789ABCDEF", "0123456789abcdeg", "../../..hooks.js"]),
            ),
            ("webhook-secret", SECRET, "a", and(NO_SECRETS)),
        ];
        let formats = rows
            .into_iter()
            .map(|(format, good, filling, wrong)| (format, Strings { good, filling, wrong }))
            .collect();
        Self { formats }
    }
}

#[test]
fn every_format_of_the_document_has_its_row() {
    let hostile = Hostile::new();
    let known = FORMATS.iter().map(|(format, _)| *format).filter(|format| *format != "subscription");
    assert!(known.eq(hostile.formats.keys().copied()));
    for (file, of) in [("names", "forbidden"), ("injection", "control")] {
        assert!(list(file, of).len() >= 200, "G22 wants 200 {of}");
    }
}

/// The document, and what stands in it.
struct Document(Value);

impl Document {
    /// What a schema allows, one by one: references followed, and types that are several told apart.
    fn alternatives(&self, schema: &Value) -> Vec<Value> {
        if let Some(reference) = schema["$ref"].as_str() {
            return self.alternatives(self.0.pointer(reference.strip_prefix('#').unwrap()).unwrap());
        }
        for several in ["anyOf", "oneOf"] {
            if let Some(schemas) = schema[several].as_array() {
                return schemas.iter().flat_map(|schema| self.alternatives(schema)).collect();
            }
        }
        let of_type = |kind: &Value| {
            let mut schema = schema.clone();
            schema["type"] = kind.clone();
            schema
        };
        match &schema["type"] {
            Value::Array(kinds) => kinds.iter().map(of_type).collect(),
            _ => vec![schema.clone()],
        }
    }
}

/// All that is wrong for a schema.
fn wrong(document: &Document, hostile: &Hostile, place: &str, schema: &Value) -> Vec<Wrong> {
    let alternatives = document.alternatives(schema);
    let named = |what: &str, value: Value| Wrong {
        what: what.to_owned(),
        value,
        told: Told::Named(place.to_owned()),
    };
    let allowed = |kind: &str| {
        let is = |schema: &Value| schema["type"] == kind || (kind == "integer" && schema["type"] == "number");
        alternatives.iter().any(is)
    };
    let mut found: Vec<Wrong> = [
        ("null", json!(null)),
        ("boolean", json!(true)),
        ("integer", json!(5)),
        ("integer", json!(-5)),
        ("number", json!(5.5)),
        ("number", json!(1e300)),
        ("string", json!("x")),
        ("array", json!([])),
        ("object", json!({})),
    ]
    .into_iter()
    .filter(|(kind, _)| !allowed(kind))
    .map(|(kind, value)| named(&format!("a {kind}"), value))
    .collect();
    let listed: Vec<&Value> = alternatives.iter().filter(|schema| !schema["const"].is_null()).collect();
    if !listed.is_empty() {
        found.push(named("not listed", json!("no such word")));
        found.push(named("not listed", json!("x".repeat(65_536))));
        return found;
    }
    for schema in &alternatives {
        match schema["type"].as_str().unwrap_or_else(|| panic!("{place} has no type: {schema}")) {
            "null" | "boolean" | "number" => {}
            "integer" => found.extend(wrong_integers(place, schema)),
            "string" => found.extend(wrong_strings(hostile, place, schema)),
            "array" => found.extend(wrong_arrays(document, hostile, place, schema)),
            "object" => found.extend(wrong_objects(document, hostile, place, schema)),
            other => panic!("{place} is of type {other}"),
        }
    }
    found
}

fn wrong_integers(place: &str, schema: &Value) -> Vec<Wrong> {
    let named = |what: &str, value: Value| Wrong {
        what: what.to_owned(),
        value,
        told: Told::Named(place.to_owned()),
    };
    let mut found = vec![named("beyond every integer", json!(1e19)), named("text of one", json!("5"))];
    if let Some(listed) = schema["enum"].as_array() {
        let most = listed.iter().filter_map(Value::as_i64).max().unwrap();
        let least = listed.iter().filter_map(Value::as_i64).min().unwrap();
        found.extend([named("above the list", json!(most + 1)), named("below the list", json!(least - 1))]);
        return found;
    }
    let bound =
        |name: &str| schema[name].as_i64().unwrap_or_else(|| panic!("{place} has no {name}: {schema}"));
    found.push(named("too small", json!(bound("minimum") - 1)));
    found.push(named("too large", json!(bound("maximum") + 1)));
    found
}

fn wrong_strings(hostile: &Hostile, place: &str, schema: &Value) -> Vec<Wrong> {
    let named = |what: &str, text: &str| Wrong {
        what: what.to_owned(),
        value: json!(text),
        told: Told::Named(place.to_owned()),
    };
    if schema["enum"].is_array() {
        return vec![named("not listed", "no such word"), named("not listed", &"x".repeat(65_536))];
    }
    let length = |name: &str| schema[name].as_u64().and_then(|length| usize::try_from(length).ok());
    let most = length("maxLength").unwrap_or_else(|| panic!("{place} has no maxLength: {schema}"));
    let format = schema["format"].as_str().unwrap_or_else(|| panic!("{place} has no format: {schema}"));
    let strings = &hostile.formats.get(format).unwrap_or_else(|| panic!("{place}: what is a {format}?"));
    let told = |text: &str| match format {
        "file-name" | "file-names" | "item-what" => Told::Forbidden(place.to_owned(), text.to_owned()),
        "res-id" => Told::Nobody(text.to_owned()),
        _ => Told::Named(place.to_owned()),
    };
    // What is too long for a name is told as that, and not looked at.
    let mut found = vec![
        named("one too long", &strings.filling.repeat(most + 1)),
        named("64 KiB long", &strings.filling.repeat(65_536.max(most + 1))),
    ];
    if length("minLength").is_some_and(|least| least > 0) {
        found.push(named("empty", ""));
    }
    found.extend(strings.wrong.iter().map(|text| {
        let what = format!("not {format}");
        Wrong { what, value: json!(text), told: told(text) }
    }));
    if format == "file-names" {
        found.extend(strings.wrong.iter().map(|text| Wrong {
            what: "the second of a list".to_owned(),
            value: json!(format!("a.wav|{text}")),
            told: Told::Forbidden(place.to_owned(), text.clone()),
        }));
    }
    found
}

/// A good value of a schema.
fn good(document: &Document, hostile: &Hostile, schema: &Value) -> Value {
    let schema = &document.alternatives(schema)[0];
    match schema["type"].as_str() {
        Some("string") => match (schema["const"].as_str(), schema["enum"][0].as_str()) {
            (Some(only), _) | (None, Some(only)) => json!(only),
            _ => json!(hostile.formats[schema["format"].as_str().unwrap()].good),
        },
        Some("array") => match &schema["items"] {
            Value::Array(elements) => {
                elements.iter().map(|element| good(document, hostile, element)).collect()
            }
            element => json!([good(document, hostile, element)]),
        },
        _ => json!(0),
    }
}

fn wrong_arrays(document: &Document, hostile: &Hostile, place: &str, schema: &Value) -> Vec<Wrong> {
    let named = |what: &str, value: Value| Wrong {
        what: what.to_owned(),
        value,
        told: Told::Named(place.to_owned()),
    };
    let most = schema["maxItems"].as_u64().unwrap_or_else(|| panic!("{place} has no maxItems: {schema}"));
    let mut found = Vec::new();
    if schema["minItems"].as_u64().is_some_and(|least| least > 0) {
        found.push(named("empty", json!([])));
    }
    match &schema["items"] {
        // Elements that are each of their own kind.
        Value::Array(elements) => {
            let all: Vec<Value> = elements.iter().map(|element| good(document, hostile, element)).collect();
            found.push(named("too many elements", all.iter().chain(&all).cloned().collect()));
            for (index, element) in elements.iter().enumerate() {
                for one in wrong(document, hostile, &format!("{place}[{index}]"), element) {
                    let mut all = all.clone();
                    all[index] = one.value;
                    found.push(Wrong { value: json!(all), ..one });
                }
            }
        }
        element => {
            let one_good = good(document, hostile, element);
            found.push(named("too many elements", json!(vec![one_good; usize::try_from(most).unwrap() + 1])));
            for one in wrong(document, hostile, &format!("{place}[0]"), element) {
                found.push(Wrong { value: json!([one.value]), ..one });
            }
        }
    }
    found
}

fn wrong_objects(document: &Document, hostile: &Hostile, place: &str, schema: &Value) -> Vec<Wrong> {
    let most = schema["maxProperties"].as_u64().unwrap_or_else(|| panic!("{place} has no maxProperties"));
    let many: Map<String, Value> = (0..=most).map(|n| (format!("X-{n}"), json!("a"))).collect();
    let told = Told::Named(place.to_owned());
    let mut found = vec![Wrong { what: "too many members".to_owned(), value: json!(many), told }];
    for one in wrong(document, hostile, place, &schema["propertyNames"]) {
        let Some(name) = one.value.as_str() else { continue };
        found.push(Wrong {
            value: json!({ name: "a" }),
            told: Told::Named(format!("{place}.{name}")),
            ..one
        });
    }
    let name = hostile.formats["header-name"].good;
    for one in wrong(document, hostile, &format!("{place}.{name}"), &schema["additionalProperties"]) {
        found.push(Wrong { value: json!({ name: one.value }), ..one });
    }
    found
}

/// Sends one wrong value, and looks at how it is told.
async fn refused(client: &Client, method: &str, param: &str, example: &Value, wrong: &Wrong) {
    let mut params = example.clone();
    params[param] = wrong.value.clone();
    let shown: String = wrong.value.to_string().chars().take(80).collect();
    let case = format!("{method}, {param} {}: {shown}", wrong.what);
    let error = match client.request(method, params).await {
        Err(Error::Rpc { code, data, .. }) => (code, data),
        Ok(Value::Bool(false)) if matches!(wrong.told, Told::Nobody(_)) => return,
        other => panic!("{case}: {other:?}"),
    };
    let (code, data) = (error.0, &error.1);
    let is = |code_of: i32, reason: &str| code == code_of && data["reason"] == reason;
    // A parameter that only tells where to go on is not the name of what is asked for.
    let named = |place: &str| {
        let found = data["param"].as_str().unwrap_or_default();
        is(-32602, "invalid_params") && (found == place || found == param || found.starts_with(place))
    };
    let good = match &wrong.told {
        Told::Named(place) => named(place),
        Told::Forbidden(place, file) => {
            is(-32004, "file_forbidden") && (&data["param"], &data["file"]) == (&json!(place), &json!(file))
        }
        Told::Nobody(res_id) => {
            is(-32001, "resource_not_found") && data["res_id"] == json!(res_id) || named(param)
        }
    };
    assert!(good, "{case}: {code} {data}");
}

#[tokio::test]
async fn a8_whatever_is_wrong_with_a_parameter_is_told_by_its_name_and_does_nothing() {
    let server = Server::start_unasked().await;
    let client = server.client().await;
    let document = Document(client.request("rpc.discover", Value::Null).await.unwrap());
    let hostile = Hostile::new();
    let (mut params, mut cases) = (0, 0);
    for method in document.0["methods"].as_array().unwrap() {
        let name = method["name"].as_str().unwrap();
        if name == UNSUBSCRIBE {
            continue;
        }
        let example = golden_request(name).unwrap_or_else(|| json!({}));
        unknown(&client, name, &example, method["params"].as_array().unwrap().len()).await;
        for param in method["params"].as_array().unwrap() {
            let (schema, param_name) = (&param["schema"], param["name"].as_str().unwrap());
            params += 1;
            for wrong in wrong(&document, &hostile, param_name, schema) {
                cases += 1;
                refused(&client, name, param_name, &example, &wrong).await;
            }
            for wrong in of_another_kind(param_name, &example).filter(|_| !name.ends_with(".exists")) {
                refused(&client, name, param_name, &example, &wrong).await;
            }
            if param["required"] == true {
                missing(&client, name, param_name, &example).await;
            }
        }
    }
    assert!(client.is_connected(), "the connection survives all of it");
    println!("{params} parameters, {cases} wrong values");
    assert!(params > 150 && cases > 20_000, "{params} parameters, {cases} cases");
}

/// The name of a conference where that of a call is good, and the other way round; none where a name is not asked for.
fn of_another_kind(param: &str, example: &Value) -> impl Iterator<Item = Wrong> {
    let (call, conference) = ("-sys.call-", "-sys.conf-");
    let good = example[param].as_str().unwrap_or_default();
    let other =
        if good.contains(call) { good.replace(call, conference) } else { good.replace(conference, call) };
    let is_name = other != good;
    is_name
        .then(|| Wrong {
            what: "of another kind".to_owned(),
            value: json!(other),
            told: Told::Named(param.to_owned()),
        })
        .into_iter()
}

async fn missing(client: &Client, method: &str, param: &str, example: &Value) {
    let mut params = example.clone();
    params.as_object_mut().unwrap().remove(param);
    let error = client.request(method, params).await.unwrap_err();
    let Error::Rpc { code, data, .. } = error else { panic!("{method} without {param}: {error}") };
    assert_eq!((code, &data["param"]), (-32602, &json!(param)), "{method} without {param}");
}

/// A parameter too many, by name and by position.
async fn unknown(client: &Client, method: &str, example: &Value, count: usize) {
    let mut named = example.clone();
    named["no_such_parameter"] = json!(1);
    let positions = json!(vec![Value::Null; count + 1]);
    for (params, param) in [(named, "no_such_parameter".to_owned()), (positions, "[".to_owned())] {
        let error = client.request(method, params).await.unwrap_err();
        let Error::Rpc { code, message, data } = error else { panic!("{method}: {error}") };
        assert_eq!(code, -32602, "{method}: {data}");
        assert!(data["param"].as_str().unwrap().starts_with(&param), "{method}: {data}");
        let is_named = param != "[";
        assert_eq!(is_named, message.contains("unknown parameter"), "{method}: {message}");
    }
}

/// The document: 仅在指定 `parent_call_res_id` 参数时有意义. So it is not looked for, only its form is; nor is its mode.
#[tokio::test]
async fn a_file_without_a_parent_has_no_meaning() {
    let mut server = Server::start(golden).await;
    let client = server.client().await;
    for params in
        [json!({ "ring_play_file": "none.wav" }), json!({ "ring_play_file": "", "ring_play_mode": 3 })]
    {
        client.request("sys.call.construct", construct(params)).await.unwrap();
        let Asked::Command(Command::Construct(asked)) = server.asked().await else { panic!("construct") };
        assert!(asked.parent.is_none());
    }
    let error =
        client.request("sys.call.construct", construct(json!({ "ring_play_file": "../a.wav" }))).await;
    assert_eq!(error.unwrap_err().reason(), Some("file_forbidden"));
}

/// What is no subscription ends none, whatever it is.
#[tokio::test]
async fn what_is_no_subscription_ends_none() {
    let server = Server::start_unasked().await;
    let client = server.client().await;
    for nobody in [
        json!([5]),
        json!(["x"]),
        json!([null]),
        json!([{}]),
        json!([]),
        json!(["x".repeat(65_536)]),
        json!({ "subscription": 5 }),
    ] {
        assert_eq!(client.request(UNSUBSCRIBE, nobody).await.unwrap(), Value::Bool(false));
    }
}

/// G22: of all these names none leads out of the directory, neither those that the door refuses nor those that it lets pass;
/// and what passes comes to the calls as it was written.
#[tokio::test]
async fn a8_no_name_leads_out_of_its_directory() {
    let server = Server::start(|_| Ok(offhook_call::Reply::Done)).await;
    let client = server.client().await;
    let root = server.data.0.join("prompts");
    let directory = Directory::open(&root).unwrap();
    for outside in ["outside.wav", "a.wav", "b.wav", "etc"] {
        std::fs::write(server.data.0.join(outside), b"secret").unwrap();
    }
    let inside = list("names", "inside");
    for name in inside.iter().chain(&list("names", "forbidden")) {
        assert!(directory.read(name).is_err(), "{name:?} was opened");
    }
    for name in inside {
        let played = client.request("sys.call.play_start", json!(["0.0.0-sys.call-1", name])).await;
        assert!(played.is_ok(), "{name:?} names a file like any other");
    }
}
