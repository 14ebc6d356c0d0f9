//! What can be asked for on the command line.

use clap::Parser;

use sim::world::{Manner, Scene};

/// Simulates the embedded journal on a disk that fails, and checks every promise after each crash.
#[derive(Debug, Parser)]
#[command(name = "sim")]
pub(crate) struct Flags {
    /// Run one seed and print what happened.
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// Run programs with a runtime, instead of ones that use the journal alone.
    #[arg(long)]
    pub(crate) runtime: bool,
    /// With --seed: only the first acts of its plan.
    #[arg(long, requires = "seed")]
    pub(crate) acts: Option<usize>,
    /// Run so many seeds.
    #[arg(long, default_value_t = 100_000)]
    pub(crate) seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    pub(crate) from: u64,
    /// Run seeds for so many minutes instead.
    #[arg(long)]
    pub(crate) minutes: Option<u64>,
    /// Every workload of up to three acts, every crash point; and each operation failing in turn.
    #[arg(long)]
    pub(crate) exhaustive: bool,
    /// Plant the bug of this name and see that it is found. Without a name, list all of them.
    #[arg(long, num_args = 0..=1, default_missing_value = "")]
    pub(crate) planted: Option<String>,
    /// Threads that run seeds.
    #[arg(long, default_value_t = 2)]
    pub(crate) threads: usize,
    /// Print the result as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

impl Flags {
    /// How seeds are carried out.
    pub(crate) fn manner(&self) -> Manner {
        let scene = if self.runtime {
            Scene::Runtime
        } else {
            Scene::Journal
        };
        Manner {
            scene,
            ..Manner::default()
        }
    }
}
