//! How deep a payload from outside may nest.

use std::fmt;

use refrain_core::Encoding;
use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// Lists and maps inside of each other.
pub(crate) const DEPTH_MAX: u8 = 64;

/// Whether `bytes` are one value that nests at most [`DEPTH_MAX`] deep. The error is for people.
pub(crate) fn check(encoding: Encoding, bytes: &[u8]) -> Result<(), String> {
    match encoding.decode::<Shallow>(bytes) {
        Ok(Shallow) => Ok(()),
        Err(error) => {
            let text = error.to_string();
            let reason = text.strip_prefix(concat!(module_path!(), "::Shallow: "));
            Err(reason.unwrap_or(&text).to_owned())
        }
    }
}

/// Any value that does not nest too deep; its content is dropped.
#[derive(Debug)]
struct Shallow;

impl<'de> Deserialize<'de> for Shallow {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Shallow, D::Error> {
        let () = Level { left: DEPTH_MAX }.deserialize(deserializer)?;
        Ok(Shallow)
    }
}

#[derive(Clone, Copy)]
struct Level {
    left: u8,
}

impl Level {
    fn deeper<E: Error>(self) -> Result<Level, E> {
        match self.left.checked_sub(1) {
            Some(left) => Ok(Level { left }),
            None => Err(E::custom(format_args!(
                "it nests more than {DEPTH_MAX} levels deep"
            ))),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Level {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Level {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_i128<E>(self, _: i128) -> Result<(), E> {
        Ok(())
    }

    fn visit_u128<E>(self, _: u128) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_bytes<E>(self, _: &[u8]) -> Result<(), E> {
        Ok(())
    }

    fn visit_none<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let level = self.deeper()?;
        while items.next_element_seed(level)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let level = self.deeper()?;
        while members.next_key_seed(level)?.is_some() {
            members.next_value_seed(level)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixty_four_levels_pass_and_one_more_does_not() {
        let nested = |levels| "[".repeat(levels) + &"]".repeat(levels);
        assert_eq!(check(Encoding::Json, nested(64).as_bytes()), Ok(()));
        let refused = check(Encoding::Json, nested(65).as_bytes()).unwrap_err();
        assert!(
            refused.starts_with("it nests more than 64 levels deep"),
            "{refused}"
        );

        let nested = |levels| [vec![0x81; levels], vec![0x80]].concat();
        assert_eq!(check(Encoding::Cbor, &nested(63)), Ok(()));
        assert!(check(Encoding::Cbor, &nested(1_000_000)).is_err());
    }
}
