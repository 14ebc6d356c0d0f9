//! How much memory a message takes, about: the size of its type and of what is behind its pointers.
//!
//! Found by serialising it into nothing. Where a value stands is not known, so each is counted as if
//! it stood in a collection: rather too much than too little. A loop over numbers folds to its length,
//! so that a message with a kilobyte in it costs hardly more than one without.

use std::fmt;

use serde::ser::{self, Serialize, Serializer};

/// The bytes of `value` itself and of all that it owns.
pub(crate) fn weight<T: Serialize>(value: &T) -> usize {
    let own = size_of::<T>();
    if !std::mem::needs_drop::<T>() {
        return own;
    }
    let mut count = Count(0);
    // One that cannot be serialised is refused later, and weighs what was seen of it.
    let _ = value.serialize(&mut count);
    own + count.0
}

/// What a value without content takes, about: the room for one that has some.
const EMPTY: usize = 32;

/// What a text or a collection takes besides its content, and a value that may be boxed.
const HEADER: usize = 24;
const POINTER: usize = 8;

struct Count(usize);

impl Count {
    fn add(&mut self, bytes: usize) -> Result<(), fmt::Error> {
        self.0 += bytes;
        Ok(())
    }

    fn compound(&mut self) -> Result<&mut Count, fmt::Error> {
        self.0 += HEADER;
        Ok(self)
    }
}

macro_rules! fixed {
    ($($name:ident: $type:ty),*) => {
        $(fn $name(self, _: $type) -> Result<(), fmt::Error> {
            self.add(size_of::<$type>())
        })*
    };
}

impl<'a> Serializer for &'a mut Count {
    type Ok = ();
    type Error = fmt::Error;
    type SerializeSeq = &'a mut Count;
    type SerializeTuple = &'a mut Count;
    type SerializeTupleStruct = &'a mut Count;
    type SerializeTupleVariant = &'a mut Count;
    type SerializeMap = &'a mut Count;
    type SerializeStruct = &'a mut Count;
    type SerializeStructVariant = &'a mut Count;

    fixed! {
        serialize_bool: bool, serialize_char: char,
        serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64,
        serialize_i128: i128,
        serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64,
        serialize_u128: u128,
        serialize_f32: f32, serialize_f64: f64
    }

    fn serialize_str(self, text: &str) -> Result<(), fmt::Error> {
        self.add(HEADER + text.len())
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Result<(), fmt::Error> {
        self.add(HEADER + bytes.len())
    }

    fn serialize_none(self) -> Result<(), fmt::Error> {
        self.add(EMPTY)
    }

    fn serialize_some<T: ?Sized + Serialize>(self, value: &T) -> Result<(), fmt::Error> {
        self.add(POINTER)?;
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), fmt::Error> {
        self.add(EMPTY)
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), fmt::Error> {
        self.add(EMPTY)
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
    ) -> Result<(), fmt::Error> {
        self.add(EMPTY)
    }

    fn serialize_newtype_struct<T: ?Sized + Serialize>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), fmt::Error> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: ?Sized + Serialize>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        value: &T,
    ) -> Result<(), fmt::Error> {
        self.add(POINTER)?;
        value.serialize(self)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Self, fmt::Error> {
        self.compound()
    }

    fn serialize_tuple(self, _: usize) -> Result<Self, fmt::Error> {
        self.compound()
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self, fmt::Error> {
        self.compound()
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self, fmt::Error> {
        self.compound()
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self, fmt::Error> {
        self.compound()
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self, fmt::Error> {
        self.compound()
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self, fmt::Error> {
        self.compound()
    }

    fn collect_str<T: ?Sized + fmt::Display>(self, text: &T) -> Result<(), fmt::Error> {
        fmt::Write::write_fmt(self, format_args!("{text}"))
    }
}

impl fmt::Write for Count {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.add(text.len())
    }
}

/// Fields and elements are counted by what they are.
macro_rules! compound {
    ($($trait:ident { $($method:ident($($skipped:ty),*));* })*) => {
        $(impl ser::$trait for &mut Count {
            type Ok = ();
            type Error = fmt::Error;

            $(fn $method<T: ?Sized + Serialize>(
                &mut self,
                $(_: $skipped,)*
                value: &T,
            ) -> Result<(), fmt::Error> {
                value.serialize(&mut **self)
            })*

            fn end(self) -> Result<(), fmt::Error> {
                Ok(())
            }
        })*
    };
}

compound! {
    SerializeSeq { serialize_element() }
    SerializeTuple { serialize_element() }
    SerializeTupleStruct { serialize_field() }
    SerializeTupleVariant { serialize_field() }
    SerializeMap { serialize_key(); serialize_value() }
    SerializeStruct { serialize_field(&'static str) }
    SerializeStructVariant { serialize_field(&'static str) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "this is test code")]
mod tests {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Serialize};

    use super::weight;

    #[derive(Serialize, Deserialize)]
    struct Order {
        number: u64,
        lines: Vec<Line>,
        note: Option<String>,
    }

    #[derive(Serialize, Deserialize)]
    enum Line {
        Article(String),
        Pieces { article: String, count: u32 },
        Nothing,
    }

    /// At least what it takes, and not much more than that.
    fn check<T: Serialize>(value: &T, owned: usize) {
        let takes = size_of::<T>() + owned;
        let found = weight(value);
        assert!(
            (takes..3 * takes + 128).contains(&found),
            "{takes}: {found}"
        );
    }

    #[test]
    fn message_weighs_at_least_its_type_and_all_that_it_owns() {
        let order = Order {
            number: 1,
            lines: vec![
                Line::Article("a".repeat(1000)),
                Line::Pieces {
                    article: "b".repeat(500),
                    count: 2,
                },
                Line::Nothing,
            ],
            note: Some("c".repeat(10_000)),
        };
        check(&order, 3 * size_of::<Line>() + 1000 + 500 + 10_000);
        check(&vec![7_u8; 4096], 4096);
        check(&vec![1.5_f64; 1000], 8000);
        check(&"text".repeat(100), 400);
    }

    #[test]
    fn nothing_is_too_small_to_be_counted() {
        let nothing: Vec<Line> = (0..1000).map(|_| Line::Nothing).collect();
        check(&nothing, 1000 * size_of::<Line>());
        let map: BTreeMap<u64, Option<u64>> = (0..1000).map(|key| (key, None)).collect();
        check(&map, 1000 * 24);
        let mut boxed = Nested(None);
        for _ in 0..100 {
            boxed = Nested(Some(Box::new(boxed)));
        }
        check(&boxed, 100 * size_of::<Nested>());
    }

    #[derive(Serialize, Deserialize)]
    struct Nested(Option<Box<Nested>>);

    #[test]
    fn value_without_pointers_weighs_its_type() {
        assert_eq!(weight(&7_u64), 8);
        assert_eq!(weight(&[1_u32; 16]), 64);
    }
}
