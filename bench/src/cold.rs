//! Files as they are after a restart of the machine: on the disk, and not in the page cache.

use std::fs::File;
use std::io::{self, IoSliceMut};
use std::path::{Path, PathBuf};

use rustix::fs::{Advice, fadvise};
use rustix::io::{Errno, ReadWriteFlags, preadv2};

/// Places of a file that are asked whether they are in memory.
const PLACES: u64 = 256;

/// The share of the places asked that may be in memory all the same.
const WARM_MAX: f64 = 0.02;

/// Drops the file at `path`, or all files in that directory, from the page cache.
///
/// # Panics
/// When they stay there: a cold read would be none.
///
/// # Errors
/// When a file cannot be opened or synced.
pub(crate) fn drop_cached(path: &Path) -> io::Result<()> {
    let files = files(path)?.into_iter().map(File::open);
    let files: Vec<File> = files.collect::<io::Result<_>>()?;
    for file in &files {
        // Only what is on the disk can be dropped.
        file.sync_all()?;
        drop_one(file)?;
    }
    let (mut warm, mut asked) = (0, 0);
    for file in &files {
        let (in_memory, places) = cached(file)?;
        warm += in_memory;
        asked += places;
        // Asking has the system read what is not there.
        drop_one(file)?;
    }
    let share = warm as f64 / asked.max(1) as f64;
    assert!(share <= WARM_MAX, "{share} of what should be cold is not");
    Ok(())
}

fn drop_one(file: &File) -> io::Result<()> {
    Ok(fadvise(file, 0, None, Advice::DontNeed)?)
}

/// Reads all of it, so that it is in the page cache.
///
/// # Errors
/// When a file cannot be read.
pub(crate) fn warm(path: &Path) -> io::Result<()> {
    for path in files(path)? {
        std::hint::black_box(crate::scan::scan_file(&path)?);
    }
    Ok(())
}

fn files(path: &Path) -> io::Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_path_buf()]);
    }
    let entries = std::fs::read_dir(path)?;
    entries.map(|entry| Ok(entry?.path())).collect()
}

/// How many places of a file are in memory, and of how many. A read that may not wait for the disk
/// gives what is there. It also gives the zeros of what was never written, which are nowhere.
fn cached(file: &File) -> io::Result<(u64, u64)> {
    let size = file.metadata()?.len();
    // One page at a time, so that asking for one place does not bring in the next.
    fadvise(file, 0, None, Advice::Random)?;
    let places = PLACES.min(size.div_ceil(4096));
    let (mut in_memory, mut asked) = (0, 0);
    for place in 0..places {
        let mut word = [0; 8];
        let offset = size / places * place;
        let mut into = [IoSliceMut::new(&mut word)];
        match preadv2(file, &mut into, offset, ReadWriteFlags::NOWAIT) {
            Ok(_) if word == [0; 8] => {}
            Ok(_) => {
                in_memory += 1;
                asked += 1;
            }
            Err(Errno::AGAIN) => asked += 1,
            Err(error) => return Err(error.into()),
        }
    }
    Ok((in_memory, asked))
}
