//! The `qpq` command.
fn main() {}
