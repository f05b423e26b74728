//! The binary `offhook`; everything it does is in the library.
fn main() {}
