//! The commands of the guide's page, as it has them.

use std::process::Command;

use crate::support::{Place, take_orders};

const PAGE: &str = include_str!("../../../../docs/guide/tools.md");

/// Every command of the page works, one after the other, in one directory.
#[tokio::test]
async fn the_commands_of_the_guide_work() {
    let place = Place::new();
    let here = place.path("");
    take_orders(&here.join("orders-data"), &["4242", "1111"]).await;
    let mut inside = false;
    let mut commands = 0;
    for line in PAGE.lines() {
        if line.starts_with("```") {
            inside = line == "```console";
        }
        let Some(command) = line.strip_prefix("$ refrain ").filter(|_| inside) else {
            continue;
        };
        let output = Command::new(env!("CARGO_BIN_EXE_refrain"))
            .args(command.split_whitespace())
            .current_dir(&here)
            .output()
            .unwrap();
        assert!(output.status.success(), "{command}: {output:?}");
        assert!(!output.stdout.is_empty(), "{command}");
        commands += 1;
    }
    assert!(commands >= 4, "{commands}");
}
