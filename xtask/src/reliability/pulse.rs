//! Whoever waits for a part sees each minute that it goes on.

use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

use super::share::Share;

/// How often.
const EVERY: Duration = Duration::from_secs(60);

/// Carries out `work`, the part `name`, on a thread of its own. A panic is its failure, not the run's.
pub(super) fn beside(
    name: &str,
    share: Share,
    work: impl FnOnce() -> Result<(), String> + Send,
) -> Result<(), String> {
    let (ending, has_ended) = sync_channel::<()>(0);
    std::thread::scope(|scope| {
        let working = scope.spawn(move || {
            // Goes away with the work, however that ends.
            let _ending = ending;
            work()
        });
        let mut minute = 0;
        while has_ended.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
            minute += 1;
            match share {
                Share::Commit => println!("reliability: {name}, {minute} min"),
                Share::Full { minutes } => {
                    println!("reliability: {name}, {minute} min, {minutes} once built");
                }
            }
        }
        let panicked = |_| Err("it panicked".to_owned());
        working.join().unwrap_or_else(panicked)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_of_a_part_is_told_and_a_panic_is_its_failure() {
        let came = |work: fn() -> Result<(), String>| beside("any", Share::Commit, work);
        assert_eq!(came(|| Ok(())), Ok(()));
        assert_eq!(came(|| Err("no".to_owned())), Err("no".to_owned()));
        assert!(came(|| panic!("on purpose")).is_err());
    }
}
