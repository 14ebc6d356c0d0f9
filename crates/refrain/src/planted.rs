//! Bugs that are planted on purpose: see the module of the same name in `refrain-core`.

#[cfg(planted)]
pub(crate) use refrain_core::planted::is;

#[cfg(not(planted))]
pub(crate) const fn is(_name: &str) -> bool {
    false
}

#[cfg(not(planted))]
const _: () = assert!(
    !is("anything"),
    "no build but the planted one has bugs to choose"
);
