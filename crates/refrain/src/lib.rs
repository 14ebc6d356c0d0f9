//! Event-sourced components that talk to external services reliably.
