//! The two programs of a drill, with the flags that make its faults fit into a short time.

use std::ffi::OsString;
use std::io;

use super::DrillFlags;
use super::place::Place;
use super::ports;
use super::program::Program;
use crate::announcement::{Announcement, Recovered};

/// How the validator misbehaves in a drill.
const VALIDATOR: &[&str] = &[
    "--fail-percent=5",
    "--silent-percent=1",
    "--delay-ms=0..20",
    "--decline-percent=20",
];

/// A policy of which every timeout, delay and stop fits into a short drill; files and snapshots so
/// small that the drill meets their boundaries.
const PROCESSOR: &[&str] = &[
    "--reply-timeout-ms=500",
    "--confirmation-timeout-ms=1000",
    "--redelivery-delay-ms=100",
    "--restart-delay-ms=500",
    // Longer than the drill takes from a restart until it has seen that the channel is still stopped.
    "--deliver-again-after-ms=30000",
    "--snapshot-every=500",
    "--segment-mib=1",
];

/// The two programs under test.
#[derive(Debug)]
pub struct Programs {
    /// The order processor.
    pub processor: Program,
    /// The validator.
    pub validator: Program,
}

impl Programs {
    /// Both, not started yet, with their files in `place`.
    ///
    /// # Errors
    /// When there is no free address, or this program does not know its own file.
    pub fn new(flags: &DrillFlags, place: &Place) -> io::Result<Programs> {
        let this = std::env::current_exe()?.into_os_string();
        let (at_processor, at_validator) = (ports::free_address()?, ports::free_address()?);

        let mut command: Vec<OsString> = match &flags.validator_command {
            Some(other) => other.split_whitespace().map(OsString::from).collect(),
            None => vec![this.clone(), "validator".into()],
        };
        command.extend(VALIDATOR.iter().map(OsString::from));
        command.push(format!("--listen={at_validator}").into());
        command.extend(["--ledger".into(), place.ledger().into_os_string()]);
        command.push("--until-stdin-ends".into());
        let log = place.dir().join("validator.log");
        let validator = Program::new("validator", command, at_validator, log);

        let mut command = vec![this, "processor".into()];
        command.extend(PROCESSOR.iter().map(OsString::from));
        command.push(format!("--listen={at_processor}").into());
        command.push(format!("--validator={}", validator.url()).into());
        command.extend(["--data".into(), place.data().into_os_string()]);
        command.push("--until-stdin-ends".into());
        if flags.acknowledge_before_write {
            command.push("--acknowledge-before-write".into());
        }
        let log = place.dir().join("processor.log");
        let processor = Program::new("processor", command, at_processor, log);
        Ok(Programs {
            processor,
            validator,
        })
    }

    /// What the starts of the processor reported of their recovery, in order.
    pub fn recoveries(&self) -> Vec<Recovered> {
        let announced = self.processor.announced().into_iter();
        announced
            .filter_map(|announcement| match announcement {
                Announcement::Recovered(recovered) => Some(recovered),
                Announcement::Listening(_) | Announcement::Stopped(_) => None,
            })
            .collect()
    }
}
