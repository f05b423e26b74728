//! The binary `offhook`; everything it does is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    offhook::cli::main()
}
