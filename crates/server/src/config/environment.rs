//! Keys from the environment: `OFFHOOK_` and the name of the key, two underscores where that has a dot.

use std::ffi::{OsStr, OsString};

use toml::{Table, Value};

use super::load::{LISTS, closest, explain, known_keys};
use super::{Config, ConfigError};

/// What begins the name of every variable that sets a key.
const PREFIX: &str = "OFFHOOK_";

/// Variables of the client side of the command line, which are no keys.
const OF_CLIENTS: [&str; 2] = ["OFFHOOK_URL", "OFFHOOK_TOKEN"];

/// Whether a variable is meant as a key, be there such a key or not.
pub(super) fn is_key(variable: &str, value: &OsStr) -> bool {
    let Some(name) = variable.strip_prefix(PREFIX) else { return false };
    !OF_CLIENTS.contains(&variable) && (name.contains("__") || !is_of_kubernetes(name, value))
}

/// Whether Kubernetes tells by this variable where a Service is whose name begins with `offhook`; it does so to every pod beside
/// one (Kubernetes, "Service", section "Environment variables"; the forms with a port are those of Docker's links).
fn is_of_kubernetes(name: &str, value: &OsStr) -> bool {
    let is_uri = || value.to_str().is_some_and(|value| value.contains("://"));
    let is_link = |rest: &str| {
        let mut words = rest.split('_');
        let is_number = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
        words.next().is_some_and(is_number)
            && matches!(words.next(), Some("TCP" | "UDP" | "SCTP"))
            && matches!((words.next(), words.next()), (None | Some("PROTO" | "PORT" | "ADDR"), None))
    };
    // The Service may have the name itself, or one that goes on after it: both have an underscore before.
    let name = format!("_{name}");
    name.ends_with("_SERVICE_HOST")
        || name.ends_with("_SERVICE_PORT")
        || name.contains("_SERVICE_PORT_")
        || name.ends_with("_PORT") && is_uri()
        || name.match_indices("_PORT_").any(|(at, found)| is_link(&name[at + found.len()..]))
}

/// Sets the key that `variable` names in `table`, and reads the whole again.
pub(super) fn override_by(table: &mut Table, variable: &str, value: OsString) -> Result<Config, ConfigError> {
    let failed =
        |problem: String| ConfigError { place: variable.into(), line: None, key: String::new(), problem };
    let known = known_keys();
    let lower = variable[PREFIX.len()..].to_ascii_lowercase();
    let path: Vec<&str> = lower.split("__").collect();
    if (1..=path.len()).any(|length| LISTS.contains(&path[..length].join(".").as_str())) {
        return Err(failed("this is set in the configuration file only".into()));
    }
    let default = match find(&known, &path) {
        Some(default) if !default.is_table() => default,
        _ => return Err(failed(format!("no such key{}", nearest(variable, &known)))),
    };
    let text = value.into_string().map_err(|_| failed("not UTF-8".into()))?;
    put(table, &path, like(default, &text).map_err(failed)?);
    serde_path_to_error::deserialize(table.clone()).map_err(|error| {
        let (key, problem) = explain(error.path(), error.inner());
        ConfigError { place: variable.into(), line: None, key, problem }
    })
}

fn find<'t>(table: &'t Table, path: &[&str]) -> Option<&'t Value> {
    let (first, rest) = path.split_first()?;
    let value = table.get(*first)?;
    if rest.is_empty() { Some(value) } else { find(value.as_table()?, rest) }
}

fn put(table: &mut Table, path: &[&str], value: Value) {
    match path {
        [] => {}
        [key] => drop(table.insert((*key).to_owned(), value)),
        [section, rest @ ..] => {
            let inner = table.entry(*section).or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(inner) = inner {
                put(inner, rest, value);
            }
        }
    }
}

/// The text of a variable as a value of the type that the key's default has.
fn like(default: &Value, text: &str) -> Result<Value, String> {
    match default {
        Value::Integer(_) => {
            text.trim().parse().map(Value::Integer).map_err(|_| format!("{text:?} is not a whole number"))
        }
        Value::Boolean(_) => {
            text.trim().parse().map(Value::Boolean).map_err(|_| format!("{text:?} is neither true nor false"))
        }
        Value::Array(_) => {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            Ok(Value::Array(items.map(|item| Value::String(item.to_owned())).collect()))
        }
        _ => Ok(Value::String(text.to_owned())),
    }
}

fn nearest(variable: &str, known: &Table) -> String {
    let mut names = Vec::new();
    collect(PREFIX, known, &mut names);
    closest(variable, names.iter().map(String::as_str))
        .map(|right| format!("; is {right} meant?"))
        .unwrap_or_default()
}

/// The variables of all keys below `table`, whose own name is `prefix`.
fn collect(prefix: &str, table: &Table, names: &mut Vec<String>) {
    for (key, value) in table {
        let name = format!("{prefix}{}", key.to_ascii_uppercase());
        match value {
            Value::Table(inner) => collect(&format!("{name}__"), inner, names),
            Value::Array(items) if items.iter().any(Value::is_table) => {}
            _ => names.push(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::super::DEFAULT_FILE;
    use super::super::tests::{read, read_with};
    use super::*;

    #[test]
    fn the_environment_comes_over_the_file() {
        let file = "rpc.listen = '127.0.0.1:1'\nlimits.calls = 5";
        let config = read_with(
            file,
            &[
                ("OFFHOOK_RPC__LISTEN", "127.0.0.1:9000"),
                ("OFFHOOK_SIP__LISTEN", "udp:127.0.0.1:1, udp:127.0.0.1:2"),
                ("OFFHOOK_LIMITS__CALLS_PER_SECOND", "7"),
                ("OFFHOOK_RPC__TOKENS", ""),
                ("PATH", "/bin"),
            ],
        )
        .unwrap();
        assert_eq!(config.rpc.listen.port(), 9000);
        assert_eq!(config.sip.listen.iter().map(|l| l.address().port()).collect::<Vec<_>>(), [1, 2]);
        assert_eq!((config.limits.calls, config.limits.calls_per_second), (5, 7));
    }

    /// Another value than the default one for each key whose default does not say what else it may be.
    const OTHERS: &str = r#"
node.id = "1.2.3"
sip.listen = ["tcp:127.0.0.1:1", "udp:127.0.0.1:2"]
sip.advertise = "192.0.2.1:5070"
sip.t1_ms = 501
sip.nameservers = ["192.0.2.53:53"]
sip.strangers = "refuse"
rtp.address = "127.0.0.2"
rtp.ports = "30000-30009"
rtp.ptime_ms = 30
rtp.codecs = ["opus", "PCMA"]
rtp.dtmf = "all"
rtp.idle = "silence"
rtp.allowed_networks = ["192.0.2.0/24", "2001:db8::/32"]
media.language = "en"
media.country = "de"
media.io = "sweep"
speech.provider = "off"
speech.command = ["say", "{file}"]
rpc.listen = "127.0.0.1:9"
rpc.tokens = ["read:a", "b"]
cdr.postgres = "postgres://a:b@127.0.0.1/c"
webhooks.allow_networks = ["127.0.0.0/8"]
log.level = "debug"
log.format = "json"
"#;

    /// `section.key` and the default of every key of the default file.
    fn keys_of(prefix: &str, table: &Table) -> Vec<(String, Value)> {
        let below = |(key, value): (&String, &Value)| match value {
            Value::Table(inner) => keys_of(&format!("{prefix}{key}."), inner),
            _ => vec![(format!("{prefix}{key}"), value.clone())],
        };
        table.iter().flat_map(below).collect()
    }

    /// Every key of the default file but those of lists of tables, which it and README.md name, does the same as a variable.
    #[test]
    fn every_key_can_be_a_variable() {
        let others: Table = OTHERS.parse().unwrap();
        let others: HashMap<_, _> = keys_of("", &others).into_iter().collect();
        let keys = keys_of("", &DEFAULT_FILE.parse().unwrap());
        let (lists, keys): (Vec<_>, Vec<_>) =
            keys.into_iter().partition(|(key, _)| LISTS.contains(&key.as_str()));
        assert_eq!((lists.len(), keys.len() >= 60), (1, true), "there is no web hook in the default file");
        for (key, default) in keys {
            let other = others.get(&key).cloned().unwrap_or_else(|| match &default {
                Value::Boolean(is) => Value::Boolean(!is),
                Value::Integer(number) => Value::Integer(number + 1),
                Value::String(text) => Value::String(format!("{text}other")),
                _ => panic!("{key} wants another value in OTHERS"),
            });
            let text = match &other {
                Value::Array(items) => {
                    items.iter().map(|item| item.as_str().unwrap()).collect::<Vec<_>>().join(", ")
                }
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            let variable = format!("OFFHOOK_{}", key.replace('.', "__").to_ascii_uppercase());
            let by_variable = read_with("", &[(&variable, &text)]).unwrap();
            assert_eq!(Ok(&by_variable), read(&format!("{key} = {other}")).as_ref(), "{variable}={text}");
            assert_ne!(by_variable, Config::default(), "{variable}={text}");
        }
        let readme = include_str!("../../../../README.md");
        for list in LISTS {
            let named = format!("`[[{list}]]`");
            assert!(DEFAULT_FILE.lines().take(4).any(|line| line.contains(&named)), "{named}");
            let text = readme.split_once("as `OFFHOOK_SECTION__KEY`").unwrap().1;
            assert!(text.split_once("\n\n").unwrap().0.contains(&named), "{named}");
        }
    }

    /// What Kubernetes tells every pod beside a Service named `offhook`, or `offhook-rpc` with a port named `http` (its documentation,
    /// "Service", has these forms).
    #[test]
    fn variables_of_kubernetes_are_no_keys() {
        for (name, value) in [
            ("OFFHOOK_SERVICE_HOST", "10.0.0.11"),
            ("OFFHOOK_SERVICE_PORT", "8080"),
            ("OFFHOOK_SERVICE_PORT_HTTP", "8080"),
            ("OFFHOOK_PORT", "tcp://10.0.0.11:8080"),
            ("OFFHOOK_PORT_8080_TCP", "tcp://10.0.0.11:8080"),
            ("OFFHOOK_PORT_8080_TCP_PROTO", "tcp"),
            ("OFFHOOK_PORT_8080_TCP_PORT", "8080"),
            ("OFFHOOK_PORT_8080_TCP_ADDR", "10.0.0.11"),
            ("OFFHOOK_PORT_5060_UDP_ADDR", "10.0.0.11"),
            ("OFFHOOK_RPC_SERVICE_HOST", "10.0.0.11"),
            ("OFFHOOK_RPC_SERVICE_PORT_HTTP", "8080"),
            ("OFFHOOK_RPC_PORT", "tcp://10.0.0.11:8080"),
            ("OFFHOOK_RPC_PORT_8080_TCP_ADDR", "10.0.0.11"),
        ] {
            assert_eq!(read_with("", &[(name, value)]), Ok(Config::default()), "{name}");
        }
        for (name, value) in [
            ("OFFHOOK_PORT", "8080"),
            ("OFFHOOK_RTP_PORTS", "20000-29999"),
            ("OFFHOOK_PORT_8080", "1"),
            ("OFFHOOK_PORT_8080_TCP_ADDRESS", "1"),
            ("OFFHOOK_RPC__SERVICE_HOST", "10.0.0.11"),
        ] {
            let error = read_with("", &[(name, value)]).unwrap_err();
            assert!(error.starts_with(&format!("{name}: no such key")), "{error}");
        }
    }

    #[test]
    fn a_wrong_variable_is_named() {
        let check = |name: &str, value: &str, message: &str| {
            assert_eq!(read_with("", &[(name, value)]), Err(message.to_owned()));
        };
        check("OFFHOOK_RPC_LISTEN", "x", "OFFHOOK_RPC_LISTEN: no such key; is OFFHOOK_RPC__LISTEN meant?");
        check("OFFHOOK_RPC__LISEN", "x", "OFFHOOK_RPC__LISEN: no such key; is OFFHOOK_RPC__LISTEN meant?");
        check("OFFHOOK_XYZZY", "x", "OFFHOOK_XYZZY: no such key");
        check("OFFHOOK_LIMITS__CALLS", "many", "OFFHOOK_LIMITS__CALLS: \"many\" is not a whole number");
        check(
            "OFFHOOK_LIMITS__CALLS",
            "0",
            "OFFHOOK_LIMITS__CALLS: limits.calls: 0 is not between 1 and 1000000",
        );
        check(
            "OFFHOOK_SIP__SESSION_TIMER",
            "yes",
            "OFFHOOK_SIP__SESSION_TIMER: \"yes\" is neither true nor false",
        );
        check(
            "OFFHOOK_SIP__TLS__CERT",
            "x",
            "OFFHOOK_SIP__TLS__CERT: no such key; is OFFHOOK_SIP__TLS__CA meant?",
        );
        for name in ["OFFHOOK_SIP__GATEWAY", "OFFHOOK_SIP__GATEWAY__NAME", "OFFHOOK_WEBHOOK__URL"] {
            check(name, "x", &format!("{name}: this is set in the configuration file only"));
        }
        check(
            "OFFHOOK_RPC__LISTEN",
            "0.0.0.0:1",
            "f.toml, OFFHOOK_RPC__LISTEN: rpc.listen: 0.0.0.0:1 is reached from beyond this machine: set rpc.tokens",
        );
        check(
            "OFFHOOK_RTP__PORTS",
            "1-2",
            "OFFHOOK_RTP__PORTS: rtp.ports: \"1-2\": the first port must be even and 1024 or above",
        );
    }
}
