//! What compaction does next: a function of what files there are.

/// Stream segments of about one size that are merged at once. Each entry is rewritten once for each
/// power of this that the history grows by.
const MERGED: usize = 8;

/// Stream segments are merged until they have this many bytes: what a merge needs of free space,
/// and what it takes to drop something in the middle of the history, stay bounded.
pub(crate) const STREAM_SEGMENT_BYTES_MAX: u64 = 8 * 1024 * 1024 * 1024;

/// A stream segment, as the plan sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) bytes: u64,
    /// At least half of its entries are forgotten.
    pub(crate) is_half_forgotten: bool,
}

/// How much is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// What keeps reading fast at little cost.
    Background,
    /// Everything that can be done, because somebody asked.
    All,
}

/// The log segments at the front that are rewritten together: as many as fit `bytes_max`, at least
/// one. `sizes` are all that are sealed.
pub(crate) fn log_segments(sizes: &[u64], bytes_max: u64) -> usize {
    let mut bytes = 0;
    let fits = sizes.iter().take_while(|size| {
        bytes += **size;
        bytes <= bytes_max
    });
    fits.count().max(1).min(sizes.len())
}

/// The neighbouring stream segments that are merged next, oldest first: their places in `sizes`.
pub(crate) fn merge(sizes: &[Size], extent: Extent) -> Option<std::ops::Range<usize>> {
    match extent {
        Extent::Background => tier(sizes).or_else(|| forgotten(sizes)),
        Extent::All => neighbours(sizes).or_else(|| forgotten(sizes)),
    }
}

/// A file of which half is forgotten is rewritten by itself.
fn forgotten(sizes: &[Size]) -> Option<std::ops::Range<usize>> {
    let place = sizes.iter().position(|size| size.is_half_forgotten)?;
    Some(place..place + 1)
}

/// The first neighbours that may become one file.
fn neighbours(sizes: &[Size]) -> Option<std::ops::Range<usize>> {
    let starts = 0..sizes.len();
    let mut runs = starts.map(|start| start..start + reach(&sizes[start..]));
    runs.find(|run| run.len() > 1)
}

/// How many of `sizes` from the first on fit one file.
fn reach(sizes: &[Size]) -> usize {
    let mut bytes = 0;
    let fits = sizes.iter().take_while(|size| {
        bytes += size.bytes;
        bytes <= STREAM_SEGMENT_BYTES_MAX
    });
    fits.count().max(1)
}

/// Enough neighbours of about one size: the oldest that there are.
fn tier(sizes: &[Size]) -> Option<std::ops::Range<usize>> {
    let starts = 0..sizes.len();
    let mut runs = starts.map(|start| start..start + alike(&sizes[start..]));
    runs.find(|run| run.len() >= MERGED)
}

/// How many of `sizes` from the first on fit one file, and none is more than twice their mean.
fn alike(sizes: &[Size]) -> usize {
    let (mut bytes, mut largest, mut best) = (0, 0, 0);
    for (count, size) in (1..).zip(&sizes[..reach(sizes)]) {
        bytes += size.bytes;
        largest = largest.max(size.bytes);
        if largest * count <= 2 * bytes {
            best = count as usize;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(bytes: &[u64]) -> Vec<Size> {
        let size = |bytes: &u64| Size {
            bytes: *bytes,
            is_half_forgotten: false,
        };
        bytes.iter().map(size).collect()
    }

    #[test]
    fn log_segments_are_taken_as_they_fit_the_memory_and_at_least_one() {
        assert_eq!(log_segments(&[], 10), 0);
        assert_eq!(log_segments(&[20, 1], 10), 1);
        assert_eq!(log_segments(&[4, 4, 4], 10), 2);
        assert_eq!(log_segments(&[4, 4], 10), 2);
    }

    #[test]
    fn files_of_about_one_size_are_merged_once_there_are_enough() {
        let merged = |bytes: &[u64]| merge(&sizes(bytes), Extent::Background);
        assert_eq!(merged(&[9; 7]), None);
        assert_eq!(merged(&[9; 8]), Some(0..8));
        assert_eq!(merged(&[900, 9, 9, 9, 9, 9, 9, 9]), None);
        assert_eq!(merged(&[900, 9, 9, 9, 9, 9, 9, 9, 9]), Some(1..9));
    }

    /// Each byte is rewritten a number of times that grows with the logarithm of the history.
    #[test]
    fn merging_rewrites_each_byte_a_few_times_and_leaves_a_few_files() {
        let mut files: Vec<u64> = Vec::new();
        let mut written = 0;
        for count in 1..=4096_u64 {
            files.push(1);
            while let Some(run) = merge(&sizes(&files), Extent::Background) {
                let bytes: u64 = files[run.clone()].iter().sum();
                written += bytes;
                files.splice(run, [bytes]);
            }
            assert!(files.len() <= 40, "{} files after {count}", files.len());
        }
        assert!(written <= 5 * 4096, "{written} rewritten");
    }

    #[test]
    fn asked_for_everything_all_neighbours_are_merged_as_far_as_a_file_may_grow() {
        let most = STREAM_SEGMENT_BYTES_MAX;
        assert_eq!(merge(&sizes(&[5, 1, 1]), Extent::All), Some(0..3));
        assert_eq!(merge(&sizes(&[most, 1, 1]), Extent::All), Some(1..3));
        assert_eq!(merge(&sizes(&[most, 1]), Extent::All), None);
        assert_eq!(merge(&sizes(&[1]), Extent::All), None);
    }

    #[test]
    fn a_file_of_which_half_is_forgotten_is_rewritten() {
        let mut files = sizes(&[5, 6]);
        files[1].is_half_forgotten = true;
        assert_eq!(merge(&files, Extent::Background), Some(1..2));
    }
}
