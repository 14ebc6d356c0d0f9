//! Conformance suites and test doubles for those who build on Refrain.
