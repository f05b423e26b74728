//! `offhook cdr export`: the records of calls, from the database of the configuration's `node.data_dir`, whether a server runs or not.

use std::io::{self, Write};
use std::path::Path;

use clap::{Subcommand, ValueEnum};

use super::exit::Failure;
use crate::store;

/// How many records are read at a time.
const PAGE: u32 = 1_000;

#[derive(Clone, Copy, Debug, Subcommand)]
pub(super) enum Cdr {
    /// Write the records of calls to the standard output, oldest first
    Export {
        /// In which notation
        #[arg(long, value_enum, default_value_t)]
        format: Notation,
        /// Only those after this one, the `id` of the last that was exported before
        #[arg(long, value_name = "ID", default_value_t = 0)]
        after: u64,
    },
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(super) enum Notation {
    /// Comma-separated values, with a line of names first
    #[default]
    Csv,
    /// A JSON object on each line
    Jsonl,
}

pub(super) fn run(command: Cdr, data_dir: &Path) -> Result<(), Failure> {
    let Cdr::Export { format, after } = command;
    let mut out = io::BufWriter::new(io::stdout().lock());
    let written = match format {
        Notation::Csv => store::csv(data_dir, after, &mut out),
        Notation::Jsonl => lines(data_dir, after, &mut out),
    };
    match written.and_then(|()| out.flush()) {
        // Whoever reads it may have read enough.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            let what = format!("call records in {:?}", data_dir.display());
            Err(Failure::io(&what, &error))
        }
        _ => Ok(()),
    }
}

fn lines(data_dir: &Path, mut after: u64, out: &mut impl Write) -> io::Result<()> {
    loop {
        let page = store::page(data_dir, after, PAGE)?;
        let Some(last) = page.last() else { return Ok(()) };
        after = last.id;
        for record in &page {
            serde_json::to_writer(&mut *out, record)?;
            writeln!(out)?;
        }
    }
}
