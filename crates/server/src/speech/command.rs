//! A program on this machine that speaks. The text comes to its standard input and never among its arguments, so that it
//! cannot be an option.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{ChildStderr, ChildStdout};

use super::{Ask, MOST_BYTES};

/// As much of what a program complains of is kept for the log.
const MOST_COMPLAINT: u64 = 400;

/// A program and its arguments.
#[derive(Debug)]
pub(super) struct Command {
    program: PathBuf,
    arguments: Vec<String>,
}

impl Command {
    /// The program where it is: by its path, or in `PATH`.
    pub(super) fn find(line: &[String]) -> Option<Self> {
        let (program, arguments) = line.split_first()?;
        let program = if program.contains('/') {
            Some(PathBuf::from(program)).filter(|path| path.is_file())
        } else {
            let folders = std::env::var_os("PATH")?;
            std::env::split_paths(&folders).map(|folder| folder.join(program)).find(|path| path.is_file())
        };
        Some(Self { program: program?, arguments: arguments.to_vec() })
    }

    /// What makes two of them different.
    pub(super) fn identity(&self) -> String {
        format!("{}\n{}", self.program.display(), self.arguments.join("\n"))
    }

    /// Lets it speak into a file; why not, where it does not.
    pub(super) async fn say(&self, ask: Ask<'_>, file: &Path) -> Result<(), String> {
        let path = file.to_str().ok_or("the path of speech.cache_dir is not UTF-8")?;
        let writes_itself = self.arguments.iter().any(|argument| argument.contains("{file}"));
        let arguments = self.arguments.iter().map(|argument| {
            argument
                .replace("{voice}", ask.voice)
                .replace("{lang}", ask.language.code())
                .replace("{file}", path)
        });
        let mut command = tokio::process::Command::new(&self.program);
        command.args(arguments).stdin(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        command.stdout(if writes_itself { Stdio::null() } else { Stdio::piped() });
        let mut child = command.spawn().map_err(|error| format!("{}: {error}", self.program.display()))?;
        let mut group = Group(child.id());
        if let Some(mut input) = child.stdin.take() {
            // One that does not read has failed or will say so by its status.
            let _ = input.write_all(ask.text.as_bytes()).await;
        }
        // Both at once: a program whose complaints nobody takes would wait, and never come to its end.
        let (audio, complaint) = tokio::join!(all_of(child.stdout.take()), complaint_of(child.stderr.take()));
        if !writes_itself {
            let audio = audio.map_err(|error| error.to_string())?;
            tokio::fs::write(file, audio).await.map_err(|error| error.to_string())?;
        }
        let status = child.wait().await.map_err(|error| error.to_string())?;
        group.0 = None;
        let program = self.program.display();
        if status.success() { Ok(()) } else { Err(format!("{program}: {status}: {}", complaint.trim())) }
    }
}

/// What a program writes, as far as it may.
async fn all_of(output: Option<ChildStdout>) -> io::Result<Vec<u8>> {
    let mut audio = Vec::new();
    if let Some(output) = output {
        output.take(MOST_BYTES + 1).read_to_end(&mut audio).await?;
    }
    Ok(audio)
}

/// The beginning of what it complains of; the rest is read and thrown away.
async fn complaint_of(errors: Option<ChildStderr>) -> String {
    let Some(mut errors) = errors else { return String::new() };
    let mut complaint = Vec::new();
    let _ = (&mut errors).take(MOST_COMPLAINT).read_to_end(&mut complaint).await;
    let _ = tokio::io::copy(&mut errors, &mut tokio::io::sink()).await;
    String::from_utf8_lossy(&complaint).into_owned()
}

/// A program and all that it has started, which are killed where nobody waits for them any more.
struct Group(Option<u32>);

impl Drop for Group {
    fn drop(&mut self) {
        let pid = self.0.and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        if let Some(pid) = pid {
            let _ = kill_process_group(pid, Signal::KILL);
        }
    }
}
