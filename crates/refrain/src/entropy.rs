//! Where a driver draws what nobody may guess or meet twice.

use std::sync::{Arc, Mutex, PoisonError};

use rand::distr::{Distribution, StandardUniform};
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng};

/// The system's random numbers, or those of a simulation that repeats.
#[derive(Debug, Clone)]
pub(crate) enum Entropy {
    System,
    Seeded(Arc<Mutex<SmallRng>>),
}

impl Entropy {
    pub(crate) fn seeded(seed: u64) -> Entropy {
        Entropy::Seeded(Arc::new(Mutex::new(SmallRng::seed_from_u64(seed))))
    }

    pub(crate) fn draw<T>(&self) -> T
    where
        StandardUniform: Distribution<T>,
    {
        match self {
            Entropy::System => rand::random(),
            Entropy::Seeded(numbers) => numbers
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .random(),
        }
    }
}
