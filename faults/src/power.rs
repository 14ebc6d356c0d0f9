//! The power cut: ext4 stops at once, as if the machine had lost its power.
//!
//! The request to the kernel has no safe function in any library, and this project has no `unsafe`
//! code. Perl makes it, which every Debian has: a process that waits for a word, so that the cut comes
//! at the moment it is asked for.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Opens the directory, waits for a line, and asks for `EXT4_IOC_SHUTDOWN`, `_IOR('X', 125, u32)`.
const PROGRAM: &str = r#"
    open(my $place, "<", $ARGV[0]) or die "open: $!\n";
    my $flags = pack("L", $ARGV[1]);
    $| = 1;
    print "armed\n";
    <STDIN>;
    ioctl($place, 0x8004587d, $flags) or die "ioctl: $!\n";
"#;

/// What the file system does with its own log before it stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// It writes it out: names and sizes are as new as they can be, data is not.
    LogFlushed,
    /// It drops it.
    LogLost,
}

impl Cut {
    fn flags(self) -> &'static str {
        match self {
            Cut::LogFlushed => "1",
            Cut::LogLost => "2",
        }
    }
}

/// A cut that waits to be made.
#[derive(Debug)]
pub(crate) struct Armed {
    perl: Child,
}

impl Armed {
    /// Gets ready to cut the power of the ext4 file system that is mounted at `place`.
    ///
    /// # Errors
    /// When there is no Perl, or the place cannot be opened.
    pub(crate) fn at(place: &Path, cut: Cut) -> Result<Armed, String> {
        let mut perl = Command::new("perl")
            .args(["-e", PROGRAM])
            .arg(place)
            .arg(cut.flags())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("perl: {error}"))?;
        let mut armed = [0; 6];
        let output = perl.stdout.as_mut().expect("it is piped");
        // Whatever went wrong is said when the power is to be cut.
        let _ = output.read_exact(&mut armed);
        Ok(Armed { perl })
    }

    /// Cuts the power: nothing more reaches the medium.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub(crate) fn cut(mut self) -> Result<(), String> {
        let mut input = self.perl.stdin.take().expect("it is piped");
        // It may have ended already; its output says why.
        let _ = input.write_all(b"now\n");
        drop(input);
        let output = self.perl.wait_with_output();
        let output = output.map_err(|error| format!("perl: {error}"))?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(format!("the power cut: {}", said.trim()))
    }
}
