//! The contract as documents, from the types that the server reads and writes: `proto/openrpc.json` for the methods,
//! `proto/asyncapi.json` for the events. A test compares the files with what is made here.

use offhook_client::wire::limits::{REQUEST_KEY_MAX, SEQ_MAX, WORD_MAX};
use offhook_client::wire::{
    self, EVENT_NOTIFICATION, ErrorData, FORMATS, Method, NOTICES, OPT_IN_EVENTS, REPLAYED, REQUEST_KEY,
    Scope, UNSUBSCRIBE,
};
use std::collections::BTreeMap;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::method::{self, Served, Visitor};
use super::params;
use super::scope::Scopes;

const LICENSE: &str = env!("CARGO_PKG_LICENSE");
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The methods, as an OpenRPC 1.3 document.
pub fn openrpc() -> Value {
    let mut describe = Describe { generator: generator(), scopes: Scopes::known(), methods: Vec::new() };
    method::visit(&mut describe);
    describe.any::<wire::Subscribe>();
    describe.any::<wire::Ack>();
    describe.any::<wire::Cdr>();
    describe.any::<wire::Explain>();
    describe.any::<wire::WebhookAdd>();
    describe.any::<wire::WebhookRemove>();
    describe.any::<wire::WebhookList>();
    describe.any::<wire::WebhookTest>();
    describe.any::<wire::WebhookRedeliver>();
    describe.methods.push(unsubscribe(describe.scopes.of_method(UNSUBSCRIBE)));
    describe.any::<wire::Discover>();
    describe.generator.subschema_for::<ErrorData>();
    let errors: Map<String, Value> =
        ErrorData::REASONS.iter().map(|&(reason, code)| error(reason, code)).collect();
    sorted(json!({
        "openrpc": "1.3.2",
        "info": {
            "title": "offhook",
            "version": VERSION,
            "license": { "name": LICENSE },
            "description": "JSON-RPC 2.0 on the path /rpc, over WebSocket and POST. Starting an action is asynchronous: \
                            the reply says that it has begun, an event tells its end (asyncapi.json). Where the node has tokens, a method \
                            needs one whose scope is its x-scope or a later one of read, call, admin; sys.event.subscribe with \
                            a group needs call.",
        },
        "servers": [
            { "name": "websocket", "url": "ws://127.0.0.1:8080/rpc" },
            { "name": "post", "url": "http://127.0.0.1:8080/rpc" },
        ],
        "x-formats": FORMATS.iter().copied().collect::<BTreeMap<_, _>>(),
        "methods": describe.methods,
        "components": { "schemas": describe.generator.take_definitions(true), "errors": errors },
    }))
}

/// The events, as an AsyncAPI 3.0 document.
pub fn asyncapi() -> Value {
    let mut generator = generator();
    let (mut messages, mut named) = (Map::new(), Map::new());
    for (name, params) in wire::event_schemas(&mut generator) {
        messages.insert(name.to_owned(), message(name, &params));
        named.insert(name.to_owned(), json!({ "$ref": format!("#/components/messages/{name}") }));
    }
    sorted(json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "offhook events",
            "version": VERSION,
            "license": { "name": LICENSE },
            "description": format!(
                "What a subscription made by {} is told: JSON-RPC notifications {EVENT_NOTIFICATION}, whose \
                 params.result is one of these messages. Per call the order is fixed, and on_released is the last event. \
                 {} are notices to one subscription and no events of the log: they repeat the seq of the last event \
                 before them, so do not drop them as duplicates. Resuming with after = the seq of whatever came last is \
                 right for them too. After on_closed nothing more comes for the subscription, and it need not be \
                 unsubscribed; the connection stays open for others, unless the node ends.",
                wire::Subscribe::NAME,
                NOTICES.join(", "),
            ),
        },
        "servers": { "local": { "host": "127.0.0.1:8080", "protocol": "ws" } },
        "channels": { "events": { "address": "/rpc", "messages": named } },
        "operations": {
            "tell": { "action": "send", "channel": { "$ref": "#/channels/events" } },
        },
        "components": { "messages": messages, "schemas": generator.take_definitions(true) },
    }))
}

/// One event with its envelope.
fn message(name: &str, params: &Schema) -> Value {
    let is_notice = NOTICES.contains(&name);
    let seq = if is_notice {
        "the seq of the last event before this notice, which has no number of its own"
    } else {
        "rises by one per event of the node, over restarts too; by more only where events are lost, which on_gap tells"
    };
    json!({
        "name": name,
        "contentType": "application/json",
        "x-notice": is_notice,
        "x-opt-in": OPT_IN_EVENTS.contains(&name),
        "payload": {
            "type": "object",
            "required": ["seq", "time_ms", "type", "params"],
            "properties": {
                "seq": { "type": "integer", "minimum": 0, "description": seq },
                "time_ms": { "type": "integer", "description": "Unix time in milliseconds" },
                "type": { "const": name },
                "params": params,
                "trace_id": {
                    "type": "string", "pattern": "^[0-9a-f]{32}$",
                    "description": "The trace that its call belongs to, where the far end or an application has named one by a \
                                    traceparent (W3C Trace Context)",
                },
            },
        },
    })
}

struct Describe {
    generator: SchemaGenerator,
    scopes: Scopes,
    methods: Vec<Value>,
}

impl Visitor for Describe {
    fn method<M: Served>(&mut self) {
        self.any::<M>();
        if M::CHANGES
            && let Some(method) = self.methods.last_mut()
        {
            with_request_key(method);
        }
    }
}

/// What a method that changes something takes and tells beside its own.
fn with_request_key(method: &mut Value) {
    if let Some(params) = method["params"].as_array_mut() {
        params.push(json!({
            "name": REQUEST_KEY,
            "required": false,
            "description": "By name only. The request is carried out once, however often it is sent with this key and the \
                            same parameters within 24 hours, over whatever connections: a repeat is told what the first one \
                            is told. With other parameters, or by another method, it is an error (key_reused).",
            "schema": {
                "type": ["string", "null"], "default": null, "minLength": 1, "maxLength": REQUEST_KEY_MAX,
                "pattern": "^[ -~]*$", "format": "request-key",
            },
        }));
    }
    let plain = method["result"]["schema"].take();
    let replayed = json!({
        "description": "Of a request with a request_key: all that the result has otherwise, and whether this is a repeat's.",
        "type": "object",
        "required": [REPLAYED],
        "properties": { REPLAYED: { "type": "boolean" } },
    });
    method["result"]["schema"] = json!({ "anyOf": [plain, replayed] });
}

impl Describe {
    fn any<M: Method<Result: JsonSchema> + JsonSchema>(&mut self) {
        let schema = M::json_schema(&mut self.generator).to_value();
        let required = |name: &str| {
            schema["required"].as_array().is_some_and(|required| required.iter().any(|entry| entry == name))
        };
        let param = |&name: &&str| {
            let mut schema = schema["properties"][name].clone();
            let description = schema.as_object_mut().and_then(|schema| schema.remove("description"));
            json!({ "name": name, "required": required(name), "description": description, "schema": schema })
        };
        let errors = ErrorData::REASONS
            .iter()
            .map(|(reason, _)| json!({ "$ref": format!("#/components/errors/{reason}") }));
        self.methods.push(json!({
            "name": M::NAME,
            "x-scope": self.scopes.of_method(M::NAME),
            "description": schema["description"],
            "paramStructure": "either",
            "params": params::names::<M>().iter().map(param).collect::<Vec<_>>(),
            "result": { "name": "result", "schema": self.generator.subschema_for::<M::Result>() },
            "errors": errors.collect::<Vec<_>>(),
        }));
    }
}

fn unsubscribe(scope: Scope) -> Value {
    json!({
        "name": UNSUBSCRIBE,
        "x-scope": scope,
        "description": "Ends a subscription. The result says whether there was one.",
        "paramStructure": "either",
        "params": [{
            "name": "subscription",
            "required": true,
            "description": "The result of sys.event.subscribe.",
            "schema": { "type": ["integer", "string"], "minimum": 0, "maximum": SEQ_MAX, "maxLength": WORD_MAX, "format": "subscription" },
        }],
        "result": { "name": "result", "schema": { "type": "boolean" } },
    })
}

fn error(reason: &str, code: i32) -> (String, Value) {
    let object = json!({
        "code": code,
        "message": reason.replace('_', " "),
        "data": { "$ref": "#/components/schemas/ErrorData" },
    });
    (reason.to_owned(), object)
}

fn generator() -> SchemaGenerator {
    SchemaSettings::draft07()
        .with(|settings| settings.definitions_path = "/components/schemas".into())
        .into_generator()
}

/// The same value with the keys of every object in order, whatever kind of map the build has.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<(String, Value)> =
                map.into_iter().map(|(key, value)| (key, sorted(value))).collect();
            entries.sort_by(|(a, _), (b, _)| a.cmp(b));
            Value::Object(entries.into_iter().collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        other => other,
    }
}

#[cfg(test)]
pub(crate) mod examples;
#[cfg(test)]
mod tests;
