//! Where every choice of a run comes from: numbers that depend on the seed alone.

/// A generator of numbers that look random (splitmix64). Its sequence is part of what a seed means,
/// so it does not change with a library's version.
#[derive(Debug, Clone)]
pub struct Chance(u64);

impl Chance {
    /// The choices of `seed` for one `purpose`. Different purposes do not disturb each other: a
    /// workload stays the same when more disk operations fail.
    #[must_use]
    pub fn new(seed: u64, purpose: &str) -> Chance {
        let mut chance = Chance(seed ^ (u64::from(crc32c::crc32c(purpose.as_bytes())) << 20));
        chance.draw();
        chance
    }

    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, which is not 0.
    pub fn below(&mut self, end: u64) -> u64 {
        assert!(end > 0, "there is something to choose from");
        self.draw() % end
    }

    /// As [`Chance::below`], for an index.
    pub fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).expect("it is below a usize")
    }

    /// True once in `count` times; never when it is 0.
    pub fn one_in(&mut self, count: u64) -> bool {
        count > 0 && self.below(count) == 0
    }

    /// One of `choices`.
    pub fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.index(choices.len())]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_numbers_and_another_purpose_others() {
        let numbers = |seed, purpose| {
            let mut chance = Chance::new(seed, purpose);
            std::array::from_fn::<u64, 4, _>(|_| chance.draw())
        };
        assert_eq!(numbers(7, "disk"), numbers(7, "disk"));
        assert_ne!(numbers(7, "disk"), numbers(7, "work"));
        assert_ne!(numbers(7, "disk"), numbers(8, "disk"));
    }
}
