//! Floors: which of our crates may depend on which, and what the lowest floor may bring in.
//!
//! The floors stand in ARCHITECTURE.md. Cargo itself reads the manifests, so that every way to write
//! a dependency counts.

use serde_json::Value;

use super::finding::Finding;
use crate::project::Project;

/// A crate's place.
struct Floor {
    name: &'static str,
    may_use: Uses,
}

/// Which of our crates a crate may use outside of its tests.
enum Uses {
    These(&'static [&'static str]),
    /// Tools stand beside the building: they use anything, and nothing uses them.
    Anything,
}

const FLOORS: &[Floor] = &[
    floor("refrain-core", &[]),
    floor("refrain-journal", &["refrain-core"]),
    floor("refrain-http", &["refrain-core"]),
    floor("refrain-testkit", &["refrain-core"]),
    floor("refrain", &["refrain-core", "refrain-journal"]),
    floor("refrain-backup", &["refrain-core", "refrain-journal"]),
    floor(
        "refrain-cli",
        &["refrain-backup", "refrain-core", "refrain-journal"],
    ),
    floor("orders", &["refrain", "refrain-http"]),
    tool("bench"),
    tool("faults"),
    tool("hostile"),
    tool("sim"),
    tool("xtask"),
];

/// What `refrain-core` may bring in; `docs/decisions` argues for each that is more than words.
const CORE_MAY_BRING: [&str; 11] = [
    "bytes",
    "hashbrown",
    "hmac",
    "minicbor",
    "minicbor-serde",
    "serde",
    "serde_json",
    "sha2",
    "siphasher",
    "thiserror",
    "triomphe",
];

const fn floor(name: &'static str, may_use: &'static [&'static str]) -> Floor {
    Floor {
        name,
        may_use: Uses::These(may_use),
    }
}

const fn tool(name: &'static str) -> Floor {
    Floor {
        name,
        may_use: Uses::Anything,
    }
}

/// One line of a manifest's dependencies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Dependency {
    from: String,
    to: String,
    kind: Kind,
    /// Whether `to` is one of our own crates.
    is_ours: bool,
    /// Whether it asks for a version.
    has_version: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Normal,
    Dev,
}

/// All dependencies of the workspace's crates.
///
/// # Errors
/// When cargo cannot read the manifests.
pub(super) fn dependencies(project: &Project) -> Result<Vec<Dependency>, String> {
    let output = project
        .cargo()
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .output()
        .map_err(|error| format!("cargo cannot be started: {error}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let metadata: Value = serde_json::from_slice(&output.stdout)
        .map_err(|error| format!("cargo metadata: {error}"))?;
    read(&metadata).ok_or_else(|| "cargo metadata has another form than expected".to_owned())
}

fn read(metadata: &Value) -> Option<Vec<Dependency>> {
    let mut all = Vec::new();
    for package in metadata["packages"].as_array()? {
        let from = package["name"].as_str()?;
        for dependency in package["dependencies"].as_array()? {
            all.push(Dependency {
                from: from.to_owned(),
                to: dependency["name"].as_str()?.to_owned(),
                kind: if dependency["kind"] == "dev" {
                    Kind::Dev
                } else {
                    Kind::Normal
                },
                is_ours: dependency["path"].is_string(),
                has_version: dependency["req"] != "*",
            });
        }
    }
    Some(all)
}

/// Dependencies that lead to a floor that the crate may not use.
pub(super) fn check(dependencies: &[Dependency]) -> Vec<Finding> {
    dependencies.iter().filter_map(judge).collect()
}

fn judge(dependency: &Dependency) -> Option<Finding> {
    let Dependency { from, to, .. } = dependency;
    let finding = |what: String, remedy: &str| Some(Finding::repair(from, None, what, remedy));
    let Some(Floor { may_use, .. }) = FLOORS.iter().find(|floor| floor.name == from) else {
        return finding(
            format!("the crate `{from}` has no floor"),
            "Argue the crate in docs/decisions and give it a floor in ARCHITECTURE.md and here: \
             xtask/src/tidy/floor.rs.",
        );
    };
    if dependency.is_ours && dependency.kind == Kind::Dev && dependency.has_version {
        return finding(
            format!("`{from}` tests with `{to}` by version"),
            "Name the path only: then the cycle between crates and their tests stays harmless.",
        );
    }
    if dependency.kind == Kind::Dev {
        return None;
    }
    let may = match may_use {
        Uses::Anything => true,
        Uses::These(names) => !dependency.is_ours || names.contains(&to.as_str()),
    };
    if !may {
        return finding(
            format!("`{from}` may not use `{to}`"),
            "Move what is needed down to a floor that both may use, or hand it in as a value.",
        );
    }
    if from == "refrain-core" && !dependency.is_ours && !CORE_MAY_BRING.contains(&to.as_str()) {
        return finding(
            format!("`refrain-core` may not bring in `{to}`"),
            "Everyone who writes a backend builds it. Keep it on the floors above, or argue it in \
             docs/decisions and add it to xtask/src/tidy/floor.rs.",
        );
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(from: &str, dependency: &str) -> usize {
        let metadata =
            format!(r#"{{"packages":[{{"name":"{from}","dependencies":[{dependency}]}}]}}"#);
        let metadata = serde_json::from_str(&metadata).unwrap();
        check(&read(&metadata).unwrap()).len()
    }

    fn ours(name: &str) -> String {
        format!(r#"{{"name":"{name}","kind":null,"req":"^0.1.0","path":"/p/{name}"}}"#)
    }

    fn theirs(name: &str) -> String {
        format!(r#"{{"name":"{name}","kind":null,"req":"^1.0"}}"#)
    }

    #[test]
    fn a_dependency_upwards_or_sideways_is_found() {
        assert_eq!(found("refrain-core", &ours("refrain-journal")), 1);
        assert_eq!(found("refrain-http", &ours("refrain-journal")), 1);
        assert_eq!(found("refrain", &ours("refrain-testkit")), 1);
        assert_eq!(found("refrain", &ours("xtask")), 1);
        assert_eq!(found("orders", &ours("refrain-core")), 1);
        assert_eq!(found("refrain", &ours("refrain-core")), 0);
        assert_eq!(found("bench", &ours("refrain-journal")), 0);
    }

    #[test]
    fn a_crate_without_a_floor_is_found() {
        assert_eq!(found("refrain-everything", &theirs("bytes")), 1);
    }

    #[test]
    fn the_lowest_floor_brings_in_little() {
        assert_eq!(found("refrain-core", &theirs("tokio")), 1);
        assert_eq!(found("refrain-core", &theirs("bytes")), 0);
        assert_eq!(found("refrain-http", &theirs("tokio")), 0);
    }

    #[test]
    fn tests_may_use_other_floors_by_path_only() {
        let dev =
            |req| format!(r#"{{"name":"refrain-testkit","kind":"dev","req":"{req}","path":"/p"}}"#);
        assert_eq!(found("refrain-journal", &dev("*")), 0);
        assert_eq!(found("refrain-journal", &dev("^0.1.0")), 1);
    }
}
