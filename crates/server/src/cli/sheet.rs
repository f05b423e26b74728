//! Records of calls as comma-separated values (RFC 4180), for spreadsheets and other databases.

use std::fmt::Display;

use offhook_client::wire::CallRecord;

use super::remote::word;

/// The names of the columns: those of the API.
const NAMES: &str = "id,res_id,call_dir,from_uri,to_uri,gateway,sip_call_id,begin_time_ms,answer_time_ms,end_time_ms,duration_ms,\
    talk_ms,cause,reason,dropped_by,user_data,codec,packets_sent,packets_received,packets_lost,jitter_ms,round_trip_ms,\
    mos,recordings";

/// The line of names.
pub(super) fn head() -> String {
    format!("{NAMES}\r\n")
}

/// The line of a call. Its recordings are a JSON array.
pub(super) fn line(record: &CallRecord) -> String {
    let recordings = serde_json::to_string(&record.recordings).expect("a list of strings");
    let fields = [
        record.id.to_string(),
        quoted(&record.res_id),
        word(&record.call_dir),
        quoted(&record.from_uri),
        quoted(&record.to_uri),
        text(record.gateway.as_deref()),
        text(record.sip_call_id.as_deref()),
        record.begin_time_ms.to_string(),
        number(record.answer_time_ms),
        record.end_time_ms.to_string(),
        number(record.duration_ms),
        number(record.talk_ms),
        record.cause.to_string(),
        text(record.reason.as_deref()),
        word(&record.dropped_by),
        text(record.user_data.as_deref()),
        text(record.codec.as_deref()),
        record.packets_sent.to_string(),
        record.packets_received.to_string(),
        record.packets_lost.to_string(),
        record.jitter_ms.to_string(),
        number(record.round_trip_ms),
        number(record.mos),
        quoted(&recordings),
    ];
    format!("{}\r\n", fields.join(","))
}

/// Nothing is nothing.
fn number(value: Option<impl Display>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

fn text(value: Option<&str>) -> String {
    value.map(quoted).unwrap_or_default()
}

/// In quotes where it has to be. What came with a call is anybody's text, and a spreadsheet takes one that begins like a
/// formula for one: it gets an apostrophe before it (OWASP, "CSV Injection"). No program reads a NUL as a character of a text.
fn quoted(text: &str) -> String {
    let mut text = text.replace('\0', "\u{fffd}");
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        text.insert(0, '\'');
    }
    match text.contains(['"', ',', '\r', '\n']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_is_a_formula() {
        for (text, expected) in [
            ("=1+1", "'=1+1"),
            ("+49 30", "'+49 30"),
            ("-2", "'-2"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\tx", "'\tx"),
            ("\rx", "\"'\rx\""),
            ("=A1,\"b\"", "\"'=A1,\"\"b\"\"\""),
            ("sip:+49@h", "sip:+49@h"),
            ("a\0b", "a\u{fffd}b"),
            ("", ""),
        ] {
            assert_eq!(quoted(text), expected, "{text:?}");
        }
    }

    /// Read back by another program: Python's `csv`.
    #[test]
    fn csv_is_read_by_others() {
        let mut record: CallRecord = serde_json::from_value(crate::rpc::schema::examples::record())
            .expect("the example of the contract");
        record.user_data = Some("a\r\n\"b\",c".to_owned());
        record.mos = None;
        record.recordings = vec!["a.wav".to_owned(), "b \"c\", d.wav".to_owned()];
        let file = std::env::temp_dir().join(format!("offhook-sheet-{}.csv", std::process::id()));
        std::fs::write(&file, head() + &line(&record)).expect("a file");
        let program =
            "import csv,json,sys; print(json.dumps(list(csv.DictReader(open(sys.argv[1], newline='')))))";
        let read =
            std::process::Command::new("python3").args(["-c", program]).arg(&file).output().expect("python");
        let _ = std::fs::remove_file(&file);
        let rows: Vec<serde_json::Map<String, serde_json::Value>> =
            serde_json::from_slice(&read.stdout).expect("rows");
        // Every member of a record is a column, and is told as it is.
        let all = serde_json::to_value(&record).expect("a record");
        let all = all.as_object().expect("an object");
        assert_eq!((rows.len(), rows[0].len()), (1, all.len()));
        for (name, value) in all {
            let expected = match value {
                serde_json::Value::Null => String::new(),
                serde_json::Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            assert_eq!(rows[0][name], expected, "{name}");
        }
    }
}
