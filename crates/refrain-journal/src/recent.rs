//! Names that a thread looked up lately, with their numbers.
//!
//! Looking a name up takes a lock that all callers share: nobody waits for it, but the counter in it
//! moves from core to core with every look. Threads that append to the same streams again and again
//! find their numbers here instead.
//!
//! Nothing rests on what is found: it is what [`Names`] said when nobody had taken a name away yet, and
//! whoever uses a number asks again, under the queue's lock, whether that still holds.

use std::cell::RefCell;
use std::sync::{Arc, Weak};

use refrain_core::Name;

use crate::names::{Looked, Names};

/// Names that a thread remembers at most, one at each place.
const PLACES: usize = 256;

thread_local! {
    static RECENT: RefCell<Vec<Place>> = const { RefCell::new(Vec::new()) };
}

/// What is remembered at one place: a name is at the place that its address in memory says.
#[derive(Debug, Default)]
struct Place {
    /// The address of the name that was looked up last. It may be gone by now.
    address: usize,
    known: Option<Known>,
}

#[derive(Debug)]
struct Known {
    /// Kept by the journal alone.
    names: Weak<Names>,
    name: Name,
    looked: Looked,
}

/// The number of `name`, as [`Names::look`] says it.
pub(crate) fn look(names: &Arc<Names>, name: &Name) -> Option<Looked> {
    let found = RECENT.try_with(|recent| {
        let mut places = recent.borrow_mut();
        if places.is_empty() {
            places.resize_with(PLACES, Place::default);
        }
        let address = name.as_str().as_ptr().addr();
        places[place_of(address)].look(names, (name, address))
    });
    // While the thread ends nothing is remembered any more.
    found.unwrap_or_else(|_| names.look(name))
}

/// Names lie at multiples of 8 bytes, often side by side.
fn place_of(address: usize) -> usize {
    (address >> 3 ^ address >> 11) % PLACES
}

impl Place {
    fn look(&mut self, names: &Arc<Names>, (name, address): (&Name, usize)) -> Option<Looked> {
        let known = self.known.as_ref().filter(|known| known.is(names, name));
        if let Some(known) = known {
            return Some(known.looked);
        }
        let looked = names.look(name)?;
        // Only the second time in a row: remembering costs more than looking, so it must not happen
        // for every name of very many.
        if self.address == address {
            self.known = Some(Known {
                names: Arc::downgrade(names),
                name: name.clone(),
                looked,
            });
        }
        self.address = address;
        Some(looked)
    }
}

impl Known {
    fn is(&self, names: &Arc<Names>, name: &Name) -> bool {
        std::ptr::eq(self.names.as_ptr(), Arc::as_ptr(names))
            && self.name == *name
            && self.looked.removals == names.removals()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    #[test]
    fn what_is_remembered_is_what_the_names_of_the_same_journal_say() {
        let (here, there) = (Arc::<Names>::default(), Arc::<Names>::default());
        let (orders, bills) = (name("orders"), name("bills"));
        for _ in 0..3 {
            assert_eq!(look(&here, &orders), None);
        }
        here.add(&bills, 0);
        here.add(&orders, 1);
        there.add(&orders, 0);
        for _ in 0..3 {
            for names in [&here, &there] {
                assert_eq!(look(names, &orders), names.look(&orders));
                assert_eq!(look(names, &orders), names.look(&orders));
                assert_eq!(look(names, &bills), names.look(&bills));
            }
        }
    }

    #[test]
    fn what_was_taken_away_is_not_remembered() {
        let names = Arc::<Names>::default();
        let (old, new) = (name("old"), name("new"));
        names.add(&old, 0);
        for _ in 0..3 {
            assert_eq!(look(&names, &old).map(|looked| looked.stream), Some(0));
        }
        names.remove(&old);
        assert_eq!(look(&names, &old), None);
        names.add(&new, 0);
        assert_eq!(look(&names, &old), None);
        assert_eq!(look(&names, &new).map(|looked| looked.stream), Some(0));
    }

    #[test]
    fn a_name_is_remembered_from_the_second_look_in_a_row_on() {
        let names = Arc::<Names>::default();
        let orders = name("orders");
        names.add(&orders, 7);
        let mut place = Place::default();
        let asked = (&orders, 1);
        for is_known in [false, true, true] {
            assert_eq!(place.look(&names, asked).unwrap().stream, 7);
            assert_eq!(place.known.is_some(), is_known);
        }
        // Another name in between pushes nothing out.
        let bills = name("bills");
        names.add(&bills, 8);
        assert_eq!(place.look(&names, (&bills, 2)).unwrap().stream, 8);
        assert_eq!(place.known.as_ref().unwrap().name, orders);
    }
}
