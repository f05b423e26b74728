//! Lines of the log as JSON. What a library says by the crate `log` comes with where its source was on the machine that built it, in
//! fields `log.…`, of which the line keeps none: `target` says who it was.

use std::fmt;

use serde_json::{Map, Value};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::fmt::format::{Format, Json, Writer};
use tracing_subscriber::fmt::{self as lines, FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::registry::LookupSpan;

/// Writes each event as an object.
pub(super) fn layer<S, W>(writer: W) -> impl Layer<S> + Send + Sync
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let objects = Objects(Format::default().json().flatten_event(true));
    lines::layer().with_writer(writer).json().event_format(objects)
}

struct Objects(Format<Json>);

impl<S, N> FormatEvent<S, N> for Objects
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        if event.metadata().target() != "log" {
            return self.0.format_event(context, writer, event);
        }
        let mut line = String::new();
        self.0.format_event(context, Writer::new(&mut line), event)?;
        match serde_json::from_str::<Map<String, Value>>(&line) {
            Ok(mut fields) => {
                fields.retain(|name, _| !name.starts_with("log."));
                writeln!(writer, "{}", Value::Object(fields))
            }
            Err(_) => writer.write_str(&line),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::mpsc;

    use tracing_subscriber::layer::SubscriberExt;
    use tracing_subscriber::registry;

    use super::*;

    /// Hands on what is written.
    struct Handed(mpsc::Sender<Vec<u8>>);

    impl Write for Handed {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.send(bytes.to_owned()).unwrap();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// As `tracing-log` hands on what the crate `log` was told.
    #[test]
    fn a_line_of_a_library_has_no_path_of_its_source() {
        let (sender, written) = mpsc::channel();
        let layer = layer(move || Handed(sender.clone()));
        tracing::subscriber::with_default(registry().with(layer), || {
            tracing::warn!(
                target: "log",
                { log.target = "soketto::connection", log.file = "/somebody/soketto/src/connection.rs", log.line = 7 },
                "oh"
            );
            tracing::warn!(log.file = "ours", "as it is");
        });
        let text = String::from_utf8(written.iter().flatten().collect()).unwrap();
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!((lines.len(), &lines[0]["message"]), (2, &"oh".into()));
        assert_eq!(lines[0]["level"], "WARN");
        assert!(!lines[0].as_object().unwrap().keys().any(|name| name.starts_with("log.")), "{text}");
        assert_eq!(lines[1]["log.file"], "ours");
    }
}
