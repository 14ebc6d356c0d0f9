//! What `--help` says.

use std::process::Command;

/// Words that lead to a command.
type Path = &'static [&'static str];

const COMMANDS: [Path; 13] = [
    &[],
    &["journal"],
    &["journal", "ls"],
    &["journal", "cat"],
    &["journal", "stats"],
    &["journal", "verify"],
    &["journal", "repair"],
    &["journal", "backup", "create"],
    &["journal", "backup", "verify"],
    &["journal", "backup", "ls"],
    &["journal", "restore"],
    &["journal", "compact"],
    &["journal", "copy"],
];

/// Whoever asks how a command is used need not ask elsewhere how it ends.
#[test]
fn help_says_the_exit_codes_and_fits_on_a_narrow_terminal() {
    for command in COMMANDS {
        let mut run = Command::new(env!("CARGO_BIN_EXE_refrain"));
        let output = run.args(command).arg("--help").output().unwrap();
        assert!(output.status.success(), "{command:?}");
        let help = String::from_utf8(output.stdout).unwrap();
        assert!(
            help.contains("Exit codes:\n  0  done"),
            "{command:?}: {help}"
        );
        let wide: Vec<&str> = help
            .lines()
            .filter(|line| line.chars().count() > 80)
            .collect();
        assert!(wide.is_empty(), "{command:?}: {wide:?}");
    }
}

/// What must not be open, and what is left behind, is said where a command is looked up.
#[test]
fn help_says_what_a_command_does_to_a_journal_in_use() {
    for (command, said) in [
        ("verify", "whether or not a program has the journal open"),
        ("repair", "`aside`"),
        ("compact", "No program may have the journal open"),
        ("restore", "`.restoring`"),
    ] {
        let mut run = Command::new(env!("CARGO_BIN_EXE_refrain"));
        let output = run.args(["journal", command, "--help"]).output().unwrap();
        let help = String::from_utf8(output.stdout).unwrap();
        assert!(help.contains(said), "{command}: {help}");
    }
}
