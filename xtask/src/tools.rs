//! `cargo xtask tools`: the tools that faults on real disks need, from the system's own packages.
//!
//! Root gets them installed, and so does whoever may become root without a password. Everybody else is
//! told the command. Nothing else of the project needs them.

use std::path::Path;
use std::process::{Command, ExitCode};

/// A tool, and the Debian package that has it.
struct Tool {
    name: &'static str,
    package: &'static str,
}

const TOOLS: [Tool; 8] = [
    tool("perl", "perl-base"),
    tool("strace", "strace"),
    tool("mkfs.ext4", "e2fsprogs"),
    tool("mount", "mount"),
    tool("losetup", "mount"),
    tool("faketime", "faketime"),
    tool("unshare", "util-linux"),
    tool("setpriv", "util-linux"),
];

/// Where tools of root lie, also when the path does not say so.
const SYSTEM_DIRS: [&str; 2] = ["/usr/sbin", "/sbin"];

const fn tool(name: &'static str, package: &'static str) -> Tool {
    Tool { name, package }
}

/// How this process becomes root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Root {
    /// It is.
    Already,
    /// `sudo` asks nothing.
    Sudo,
    /// It does not.
    Never,
}

impl Root {
    /// Finds out.
    pub(crate) fn find() -> Root {
        let is_root = Command::new("id").arg("-u").output();
        if is_root.is_ok_and(|output| output.stdout == b"0\n") {
            return Root::Already;
        }
        let sudo = Command::new("sudo").args(["-n", "true"]).output();
        match sudo {
            Ok(output) if output.status.success() => Root::Sudo,
            Ok(_) | Err(_) => Root::Never,
        }
    }

    /// A command that runs `program` as root, if that is possible, with the tools of root in its path.
    pub(crate) fn command(self, program: &Path) -> Command {
        let mut command = match self {
            Root::Already | Root::Never => Command::new(program),
            Root::Sudo => {
                let mut sudo = Command::new("sudo");
                sudo.arg("-n").arg(program);
                sudo
            }
        };
        command.env("PATH", path());
        command
    }
}

/// Sees to it that all tools are there, and says which ones are not.
///
/// # Errors
/// When one is missing and cannot be installed, with the command that does it.
pub(crate) fn run() -> Result<ExitCode, String> {
    ensure(Root::find())?;
    println!("all tools are there");
    Ok(ExitCode::SUCCESS)
}

/// As [`run`], for whoever is about to use them.
///
/// # Errors
/// As [`run`].
pub(crate) fn ensure(root: Root) -> Result<(), String> {
    let missing = missing();
    if missing.is_empty() {
        return Ok(());
    }
    let packages = packages(&missing);
    let names: Vec<&str> = missing.iter().map(|tool| tool.name).collect();
    let what = format!(
        "{} missing; get them with: apt-get install {packages}",
        names.join(", ")
    );
    if root == Root::Never || !is_there("apt-get") {
        return Err(what);
    }
    println!("installing {packages}");
    let install = format!("install --yes --no-install-recommends {packages}");
    for arguments in ["update", &install] {
        let status = root
            .command(Path::new("apt-get"))
            .args(arguments.split(' '))
            .env("DEBIAN_FRONTEND", "noninteractive")
            .status();
        if !status.is_ok_and(|status| status.success()) {
            return Err(format!("apt-get {arguments} failed: {what}"));
        }
    }
    if self::missing().is_empty() {
        Ok(())
    } else {
        Err(format!("still {what}"))
    }
}

fn missing() -> Vec<&'static Tool> {
    TOOLS.iter().filter(|tool| !is_there(tool.name)).collect()
}

/// The packages of `tools`, each once.
fn packages(tools: &[&Tool]) -> String {
    let mut packages: Vec<&str> = tools.iter().map(|tool| tool.package).collect();
    packages.sort_unstable();
    packages.dedup();
    packages.join(" ")
}

fn is_there(name: &str) -> bool {
    path()
        .split(':')
        .any(|dir| Path::new(dir).join(name).is_file())
}

fn path() -> String {
    let own = std::env::var("PATH").unwrap_or_default();
    format!("{own}:{}", SYSTEM_DIRS.join(":"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_named_once() {
        let all: Vec<&Tool> = TOOLS.iter().collect();
        assert_eq!(
            packages(&all),
            "e2fsprogs faketime mount perl-base strace util-linux"
        );
    }

    #[test]
    fn a_tool_that_nobody_has_is_missing() {
        assert!(is_there("sh"));
        assert!(!is_there("a-tool-that-nobody-has"));
    }
}
