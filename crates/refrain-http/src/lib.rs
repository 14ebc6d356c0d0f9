//! HTTP for Refrain: a destination with idempotency keys, and an ingress for CloudEvents and JSON.
