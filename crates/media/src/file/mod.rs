//! Prompt files in, recording files out.

mod prompt;
pub mod reader;
mod writer;

pub(crate) use prompt::Part;
pub use prompt::{Prompt, PromptWriter};
pub use reader::{PromptError, decode};
pub use writer::{RecordFormat, WavHeader};
