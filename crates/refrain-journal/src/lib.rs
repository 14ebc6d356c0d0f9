//! The embedded journal of Refrain: segments in a directory, and a journal in memory for tests.
