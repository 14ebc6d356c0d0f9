//! Where the project is, and the cargo that builds it.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The project's directory on disk.
#[derive(Debug)]
pub(crate) struct Project {
    root: PathBuf,
}

impl Project {
    /// The project whose tasks these are. Cargo says where that is, so that a moved checkout still
    /// finds itself.
    ///
    /// # Errors
    /// When the program was not started by cargo.
    pub(crate) fn find() -> Result<Project, String> {
        let manifest = std::env::var_os("CARGO_MANIFEST_DIR")
            .ok_or("start the tasks through cargo: cargo xtask TASK")?;
        let root = Path::new(&manifest)
            .parent()
            .ok_or("the tasks live in a directory of the project")?;
        Ok(Project {
            root: root.to_owned(),
        })
    }

    /// The directory that holds the workspace's manifest.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The directory that cargo builds into.
    ///
    /// # Errors
    /// When cargo does not say.
    pub(crate) fn target_dir(&self) -> Result<PathBuf, String> {
        let output = self
            .cargo()
            .args(["metadata", "--no-deps", "--format-version", "1"])
            .output()
            .map_err(|error| format!("cargo cannot be started: {error}"))?;
        let metadata: serde_json::Value = serde_json::from_slice(&output.stdout)
            .map_err(|error| format!("cargo metadata: {error}"))?;
        let dir = metadata["target_directory"].as_str();
        Ok(PathBuf::from(
            dir.ok_or("cargo metadata names no target directory")?,
        ))
    }

    /// A cargo, the same one that started the tasks, about to run in the project's directory.
    pub(crate) fn cargo(&self) -> Command {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command.current_dir(&self.root);
        command
    }

    /// Whether cargo has the subcommand `name`.
    pub(crate) fn has_subcommand(&self, name: &str) -> bool {
        self.cargo()
            .args([name, "--version"])
            .output()
            .is_ok_and(|output| output.status.success())
    }
}
