//! Scenarios through the real server with real peers over real sockets. Each test starts a server of its own, so they
//! run side by side; `cargo xtask test` builds the server first.
