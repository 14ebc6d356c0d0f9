//! A file system of one's own: ext4 in a file, mounted through a loop device, or a small tmpfs.
//!
//! The ring runs in a namespace of mounts of its own (`shelter.rs`), so that whatever way it ends, the
//! kernel unmounts and detaches everything. Dropping does it sooner.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::power::{Armed, Cut};

/// A mounted file system.
#[derive(Debug)]
pub(crate) struct Mounted {
    what: Medium,
    place: PathBuf,
}

#[derive(Debug)]
enum Medium {
    Image(PathBuf),
    Memory,
}

impl Mounted {
    /// An ext4 file system of so many bytes, in a file beside its mount point `place`.
    ///
    /// # Errors
    /// When it cannot be made or mounted.
    pub(crate) fn ext4(place: &Path, bytes: u64) -> Result<Mounted, String> {
        let image = place.with_extension("img");
        let failed = |error: std::io::Error| format!("{}: {error}", image.display());
        let file = File::create(&image).map_err(failed)?;
        file.set_len(bytes).map_err(failed)?;
        drop(file);
        call("mkfs.ext4", &["-q", "-F", text(&image)?])?;
        let mounted = Mounted {
            what: Medium::Image(image),
            place: place.to_owned(),
        };
        mounted.mount()?;
        Ok(mounted)
    }

    /// A file system in memory of so many bytes.
    ///
    /// # Errors
    /// When it cannot be mounted.
    pub(crate) fn tmpfs(place: &Path, bytes: u64) -> Result<Mounted, String> {
        std::fs::create_dir_all(place).map_err(|error| error.to_string())?;
        let size = format!("size={bytes}");
        call("mount", &["-t", "tmpfs", "-o", &size, "none", text(place)?])?;
        Ok(Mounted {
            what: Medium::Memory,
            place: place.to_owned(),
        })
    }

    /// Where it is mounted.
    pub(crate) fn place(&self) -> &Path {
        &self.place
    }

    /// Gets ready for a power cut. After it nothing reaches the medium, until [`Mounted::power_on`].
    ///
    /// # Errors
    /// As [`Armed::at`].
    pub(crate) fn arm(&self, cut: Cut) -> Result<Armed, String> {
        Armed::at(&self.place, cut)
    }

    /// Mounts again what is on the medium. Nobody may use the file system any more.
    ///
    /// # Errors
    /// When somebody does, or it cannot be mounted.
    pub(crate) fn power_on(&self) -> Result<(), String> {
        call("umount", &[text(&self.place)?])?;
        self.mount()
    }

    fn mount(&self) -> Result<(), String> {
        let Medium::Image(image) = &self.what else {
            return Err("what was in memory is gone".to_owned());
        };
        std::fs::create_dir_all(&self.place).map_err(|error| error.to_string())?;
        call("mount", &["-o", "loop", text(image)?, text(&self.place)?])
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        if let Ok(place) = text(&self.place) {
            // The end of the namespace unmounts it at the latest.
            let _ = call("umount", &[place]);
        }
        if let Medium::Image(image) = &self.what {
            let _ = std::fs::remove_file(image);
        }
    }
}

fn text(path: &Path) -> Result<&str, String> {
    path.to_str()
        .ok_or_else(|| format!("{} is no plain name", path.display()))
}

/// Runs a tool to its end.
///
/// # Errors
/// With what it said, when it does not end well.
pub(crate) fn call(tool: &str, arguments: &[&str]) -> Result<(), String> {
    let output = Command::new(tool)
        .args(arguments)
        .output()
        .map_err(|error| format!("{tool}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.trim().replace('\n', "; ");
    Err(format!("{tool} ended with {}: {said}", output.status))
}
