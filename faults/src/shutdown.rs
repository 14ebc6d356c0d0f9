//! The power cut: ext4 stops at once, as if the machine had lost its power.
//!
//! The kernel call has no safe function in any library; this is the only `unsafe` of the project
//! outside of its dependencies.

use std::fs::File;
use std::io;
use std::path::Path;

use rustix::ioctl::{Opcode, Setter, ioctl, opcode};

/// `EXT4_IOC_SHUTDOWN`, which is `_IOR('X', 125, u32)`: read by its number, but the kernel reads it.
const SHUTDOWN: Opcode = opcode::read::<u32>(b'X', 125);

/// What the file system does with its own log before it stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// It writes it out: names and sizes are as new as they can be, data is not.
    LogFlushed,
    /// It drops it.
    LogLost,
}

impl Cut {
    fn flags(self) -> u32 {
        match self {
            Cut::LogFlushed => 1,
            Cut::LogLost => 2,
        }
    }
}

/// Stops the ext4 file system that holds `place`: nothing more reaches its medium.
///
/// # Errors
/// When it is no ext4, or the caller may not.
pub(crate) fn shut_down(place: &Path, cut: Cut) -> io::Result<()> {
    let root = File::open(place)?;
    // SAFETY: the opcode takes a pointer to one `u32`, which it only reads; `Setter` hands over a
    // pointer to its own, which lives as long as the call. No memory of this process changes.
    #[expect(
        unsafe_code,
        reason = "no library offers the call; docs/decisions/0060"
    )]
    unsafe {
        ioctl(root, Setter::<SHUTDOWN, u32>::new(cut.flags()))?;
    }
    Ok(())
}
