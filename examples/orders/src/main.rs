//! The example that the seed describes: an order processor and an external card validator.

fn main() {}
