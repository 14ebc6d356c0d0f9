//! Benchmarks of Refrain, as ratios against references of the same run.

fn main() {}
