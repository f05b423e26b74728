//! Requests of applications: how many, what they came to, and how long that took. Counted at the door, whatever way they came.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use dashmap::DashMap;

use super::family;

/// What a request is called of which there is no such method: what applications write is no label.
const UNKNOWN: &str = "unknown";

/// Requests by method and by the code of their error; none: a result.
#[derive(Debug, Default)]
pub struct Requests(DashMap<(&'static str, Option<i32>), Taken>);

/// How many, and their time in all.
#[derive(Clone, Copy, Debug, Default)]
struct Taken {
    count: u64,
    time: Duration,
}

impl Requests {
    /// Counts one; a method that there is has a name.
    pub(crate) fn count(&self, method: Option<&'static str>, code: Option<i32>, time: Duration) {
        let mut taken = self.0.entry((method.unwrap_or(UNKNOWN), code)).or_default();
        taken.count += 1;
        taken.time += time;
    }

    /// All of it as text.
    pub fn text(&self) -> String {
        let (mut text, mut times) = (String::new(), BTreeMap::<&str, Duration>::new());
        let mut all: Vec<_> = self.0.iter().map(|entry| (*entry.key(), *entry.value())).collect();
        all.sort_by_key(|(key, _)| *key);
        let name = "offhook_rpc_requests_total";
        family(&mut text, name, "counter", "Requests by method and code of the error; ok: a result.");
        for ((method, code), taken) in all {
            let code = code.map_or("ok".to_owned(), |code| code.to_string());
            let _ = writeln!(text, "{name}{{method=\"{method}\",code=\"{code}\"}} {}", taken.count);
            *times.entry(method).or_default() += taken.time;
        }
        let name = "offhook_rpc_seconds_total";
        family(&mut text, name, "counter", "From a request to its answer, all of a method.");
        for (method, time) in times {
            let _ = writeln!(text, "{name}{{method=\"{method}\"}} {}", time.as_secs_f64());
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_by_what_they_came_to() {
        let requests = Requests::default();
        for (method, code) in [
            (Some("sys.call.get"), None),
            (Some("sys.call.get"), Some(-32001)),
            (Some("sys.call.get"), None),
            (None, Some(-32601)),
        ] {
            requests.count(method, code, Duration::from_millis(250));
        }
        let text = requests.text();
        for line in [
            "offhook_rpc_requests_total{method=\"sys.call.get\",code=\"ok\"} 2",
            "offhook_rpc_requests_total{method=\"sys.call.get\",code=\"-32001\"} 1",
            "offhook_rpc_requests_total{method=\"unknown\",code=\"-32601\"} 1",
            "offhook_rpc_seconds_total{method=\"sys.call.get\"} 0.75",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }
}
