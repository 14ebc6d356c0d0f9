//! Buffers that chunks lend their entries from, and that are used again afterwards.

use std::sync::{Arc, Mutex, PoisonError};

/// Buffers that are kept for later.
const KEPT_MAX: usize = 8;

/// Bytes of the largest buffer that is kept.
const KEPT_BYTES_MAX: usize = 1024 * 1024;

/// Buffers that nobody uses. A reused one need not be cleared, and its memory is there already.
#[derive(Debug, Clone, Default)]
pub(crate) struct Buffers(Arc<Mutex<Vec<Vec<u8>>>>);

/// A buffer in use. It may be longer than what was asked for; what is in it is left over.
#[derive(Debug)]
pub(crate) struct Lent {
    pub(crate) bytes: Vec<u8>,
    from: Buffers,
}

impl Buffers {
    pub(crate) fn lend(&self) -> Lent {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        Lent {
            bytes: kept.unwrap_or_default(),
            from: self.clone(),
        }
    }
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let mut kept = self.from.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < KEPT_MAX && self.bytes.len() <= KEPT_BYTES_MAX {
            kept.push(std::mem::take(&mut self.bytes));
        }
    }
}
