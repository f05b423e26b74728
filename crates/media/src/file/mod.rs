//! Prompt files in, recording files out.

pub mod ogg;
#[cfg(feature = "opus")]
pub mod opus;
mod prompt;
pub mod reader;
mod writer;

pub(crate) use prompt::Part;
pub use prompt::{Prompt, PromptWriter};
pub use reader::{GAIN_DB, PromptError, PromptReader, decode};
pub use writer::{Patch, RecordFormat, RecordSpec, Writer, repair, spec_of};
