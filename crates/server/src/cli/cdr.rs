//! `offhook cdr export`: the records of calls, from the database of the configuration's `node.data_dir`, whether a server runs or not;
//! or from the server that `--url` names.

use std::io::{self, Write};
use std::path::Path;

use clap::{Subcommand, ValueEnum};
use offhook_client::wire::CallRecord;

use super::exit::Failure;
use super::remote::{self, Remote};
use super::sheet;
use crate::config::Config;
use crate::store;

/// How many records are read at a time.
const PAGE: u32 = 1_000;

#[derive(Clone, Copy, Debug, Subcommand)]
pub(super) enum Cdr {
    /// Write the records of calls to the standard output, oldest first: of this machine, or of the server that --url names
    Export {
        /// In which notation
        #[arg(long, value_enum, default_value_t)]
        format: Notation,
        /// Only those after this one, the `id` of the last that was exported before
        #[arg(long, value_name = "ID", default_value_t = 0)]
        after: u64,
    },
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Notation {
    /// Comma-separated values, with a line of names first
    #[default]
    Csv,
    /// A JSON object on each line
    Jsonl,
}

pub(super) fn run(
    command: Cdr,
    remote: &Remote,
    load: impl FnOnce() -> Result<Config, Failure>,
) -> Result<(), Failure> {
    let Cdr::Export { format, after } = command;
    let mut out = io::BufWriter::new(io::stdout().lock());
    let mut write = |page: &[CallRecord]| lines(format, page, &mut out);
    let written = if remote.is_named() {
        remote::records(remote, (after, PAGE), |page| write(page).map_err(Broken::from))
    } else {
        of_disk(&load()?.node.data_dir, after, |page| write(page).map_err(Broken::from))
    };
    let flushed = written.and_then(|()| out.flush().map_err(Broken::from));
    match flushed {
        Ok(()) | Err(Broken::Pipe) => Ok(()),
        Err(Broken::Failed(failure)) => Err(failure),
    }
}

/// Why not all is written.
pub(super) enum Broken {
    /// Whoever reads it has read enough.
    Pipe,
    /// It cannot be had.
    Failed(Failure),
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::Pipe,
            _ => Self::Failed(Failure::io("standard output", &error)),
        }
    }
}

impl From<Failure> for Broken {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

fn of_disk(
    data_dir: &Path,
    mut after: u64,
    mut write: impl FnMut(&[CallRecord]) -> Result<(), Broken>,
) -> Result<(), Broken> {
    let path = data_dir.join(store::FILE);
    if !path.exists() {
        let why = "no server has recorded calls there; --url names one that runs elsewhere";
        return Err(Failure::Failed(format!("{}: {why}", path.display())).into());
    }
    write(&[])?;
    loop {
        let page = store::page(data_dir, after, PAGE);
        let page = page.map_err(|error| Failure::io(&path.display().to_string(), &error))?;
        let Some(last) = page.last() else { return Ok(()) };
        after = last.id;
        write(&page)?;
    }
}

/// Writes a page; the first one, which is empty, writes what comes before all records.
fn lines(format: Notation, page: &[CallRecord], out: &mut impl Write) -> io::Result<()> {
    if page.is_empty() && format == Notation::Csv {
        return write!(out, "{}", sheet::head());
    }
    for record in page {
        match format {
            Notation::Csv => write!(out, "{}", sheet::line(record))?,
            Notation::Jsonl => {
                serde_json::to_writer(&mut *out, record)?;
                writeln!(out)?;
            }
        }
    }
    Ok(())
}
