//! The project's own tasks: test, tidy, servers.

fn main() {}
