//! The controls: damage that nothing can see, which the same check must find.

use refrain_core::{Name, Position};
use refrain_journal::fuzzing::{self, Part, layout};

use super::Damage;
use crate::specimen::{self, Specimen};

/// How often damage that nothing can see was tried, and found.
#[derive(Debug, Clone, Copy, Default)]
pub struct Control {
    /// How often it was tried.
    pub runs: u64,
    /// How often the check went red.
    pub red: u64,
}

impl Control {
    fn run(&mut self, is_red: bool) {
        self.runs += 1;
        self.red += u64::from(is_red);
    }
}

/// Flips bits of all entries in log segments and makes the checksums right: the journal serves them.
#[must_use]
pub fn resealed_flips(specimen: &Specimen) -> Control {
    let mut control = Control::default();
    let damage = Damage {
        name: "",
        meaningless: None,
    };
    for name in specimen
        .files
        .0
        .keys()
        .filter(|name| name.ends_with(".log"))
    {
        let parts = layout(specimen.files.bytes(name)).into_iter();
        for (record, _) in parts.filter(|(_, part)| *part == Part::Entry) {
            let mut files = specimen.files.clone();
            if let Some(byte) = files
                .bytes_mut(name)
                .and_then(|bytes| bytes.get_mut(record.end - 1))
            {
                *byte ^= 1;
            }
            let (opened, _) = specimen::open(files.resealed());
            control.run(damage.verdict(specimen, opened).is_err());
        }
    }
    control
}

/// Puts all files of an earlier time in the place of those of now.
#[must_use]
pub fn rolled_back(specimen: &Specimen) -> Control {
    let damage = Damage {
        name: "",
        meaningless: None,
    };
    let (opened, _) = specimen::open(specimen.earlier.clone());
    let mut control = Control::default();
    control.run(damage.verdict(specimen, opened).is_err());
    control
}

/// Flips bits of a snapshot's content and makes the checksum right: it is served.
///
/// # Panics
/// When a snapshot cannot be stored in memory.
#[must_use]
pub fn resealed_snapshot_flips() -> Control {
    let stream = Name::new("orders").expect("it is a name");
    let (whole, content) = specimen::snapshot(&stream, Position::FIRST);
    let mut control = Control::default();
    for byte in whole.len() - content.len()..whole.len() {
        let mut bytes = whole.clone();
        bytes[byte] ^= 1;
        let checksum = crc32c::crc32c_append(crc32c::crc32c(&bytes[..12]), &bytes[16..]);
        bytes[12..16].copy_from_slice(&checksum.to_le_bytes());
        let served = fuzzing::snapshot(&stream, Position::FIRST, &bytes);
        control.run(served.is_some_and(|served| served != content));
    }
    control
}
