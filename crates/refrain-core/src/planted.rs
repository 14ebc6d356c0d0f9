//! Bugs that are planted on purpose, so that the checkers can be checked.
//!
//! With `--cfg planted` one of them is chosen by its name, once and for the whole process; the place
//! that asks for that name then does the wrong thing. In every other build [`is`] is the constant
//! `false`, and what would follow is not compiled into anything.

#[cfg(planted)]
static CHOSEN: std::sync::OnceLock<&'static str> = std::sync::OnceLock::new();

/// Chooses the bug of this process.
///
/// # Panics
/// When another one was chosen before.
#[cfg(planted)]
pub fn choose(name: &'static str) {
    assert_eq!(*CHOSEN.get_or_init(|| name), name, "one bug at a time");
}

/// Whether the bug called `name` is the one that was chosen.
#[cfg(planted)]
#[must_use]
pub fn is(name: &str) -> bool {
    CHOSEN.get().is_some_and(|chosen| *chosen == name)
}

#[cfg(not(planted))]
pub(crate) const fn is(_name: &str) -> bool {
    false
}

#[cfg(not(planted))]
const _: () = assert!(
    !is("anything"),
    "no build but the planted one has bugs to choose"
);
