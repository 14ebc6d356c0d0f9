//! Growing tables that stay for good.

/// Makes room for `wanted` items in all. A table that doubles may be half empty for ever; this one
/// grows by an eighth, which moves each item a few times more often.
pub(crate) fn make_room<T>(all: &mut Vec<T>, wanted: usize) {
    if wanted > all.capacity() {
        let step = (all.len() / 8).max(64);
        all.reserve_exact((wanted - all.len()).max(step));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_that_grows_is_never_more_than_an_eighth_empty() {
        let mut all: Vec<u32> = Vec::new();
        let mut moves = 0;
        for number in 0..100_000 {
            let before = all.capacity();
            make_room(&mut all, number + 1);
            moves += usize::from(all.capacity() != before);
            all.push(0);
            assert!(all.capacity() <= all.len() + all.len() / 8 + 64);
        }
        assert!(moves < 100, "{moves} moves");
    }
}
