//! Reads answers that have grown: what a later daemon has put behind the fields that are known is passed over.
//!
//! A message is an array of its fields, and what is added to one stands at the end. Without this, `rmp-serde` refuses an
//! array that is longer than its type, and a client could not read what the daemon of the next version answers. Requests
//! are read without it: a filter of which a part is passed over would mean more than was asked for.

use std::fmt;

use serde::Deserialize;
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, IgnoredAny, MapAccess, SeqAccess, VariantAccess,
    Visitor,
};

/// A value of `T`, read by whoever may be of an earlier version than its writer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Wider<T>(pub(crate) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Wider<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(Wide(deserializer)).map(Self)
    }
}

/// Whatever serde hands around, with this done to everything below it.
struct Wide<X>(X);

/// Hands each kind of value on.
macro_rules! forward {
    ($($method:ident($($argument:ident: $type:ty),*)),+ $(,)?) => {
        $(fn $method<V: Visitor<'de>>(self, $($argument: $type,)* visitor: V) -> Result<V::Value, D::Error> {
            self.0.$method($($argument,)* Wide(visitor))
        })+
    };
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Wide<D> {
    type Error = D::Error;

    forward! {
        deserialize_any(), deserialize_bool(), deserialize_i8(), deserialize_i16(), deserialize_i32(),
        deserialize_i64(), deserialize_i128(), deserialize_u8(), deserialize_u16(), deserialize_u32(),
        deserialize_u64(), deserialize_u128(), deserialize_f32(), deserialize_f64(), deserialize_char(),
        deserialize_str(), deserialize_string(), deserialize_bytes(), deserialize_byte_buf(),
        deserialize_option(), deserialize_unit(), deserialize_unit_struct(name: &'static str),
        deserialize_newtype_struct(name: &'static str), deserialize_seq(), deserialize_tuple(len: usize),
        deserialize_tuple_struct(name: &'static str, len: usize), deserialize_map(),
        deserialize_struct(name: &'static str, fields: &'static [&'static str]),
        deserialize_enum(name: &'static str, variants: &'static [&'static str]),
        deserialize_identifier(), deserialize_ignored_any(),
    }

    fn is_human_readable(&self) -> bool {
        self.0.is_human_readable()
    }
}

/// Hands on what holds nothing below it.
macro_rules! visit {
    ($($method:ident($type:ty)),+ $(,)?) => {
        $(fn $method<E: Error>(self, value: $type) -> Result<V::Value, E> {
            self.0.$method(value)
        })+
    };
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Wide<V> {
    type Value = V::Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.expecting(formatter)
    }

    visit! {
        visit_bool(bool), visit_i8(i8), visit_i16(i16), visit_i32(i32), visit_i64(i64), visit_i128(i128),
        visit_u8(u8), visit_u16(u16), visit_u32(u32), visit_u64(u64), visit_u128(u128), visit_f32(f32),
        visit_f64(f64), visit_char(char), visit_str(&str), visit_borrowed_str(&'de str), visit_string(String),
        visit_bytes(&[u8]), visit_borrowed_bytes(&'de [u8]), visit_byte_buf(Vec<u8>),
    }

    fn visit_none<E: Error>(self) -> Result<V::Value, E> {
        self.0.visit_none()
    }

    fn visit_unit<E: Error>(self) -> Result<V::Value, E> {
        self.0.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        self.0.visit_some(Wide(deserializer))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        self.0.visit_newtype_struct(Wide(deserializer))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<V::Value, A::Error> {
        let value = self.0.visit_seq(Wide(&mut items))?;
        // The scan has bounded how many there can be.
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(value)
    }

    fn visit_map<A: MapAccess<'de>>(self, pairs: A) -> Result<V::Value, A::Error> {
        self.0.visit_map(Wide(pairs))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, variant: A) -> Result<V::Value, A::Error> {
        self.0.visit_enum(Wide(variant))
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Wide<S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<S::Value, D::Error> {
        self.0.deserialize(Wide(deserializer))
    }
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Wide<&mut A> {
    type Error = A::Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        self.0.next_element_seed(Wide(seed))
    }

    fn size_hint(&self) -> Option<usize> {
        self.0.size_hint()
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Wide<A> {
    type Error = A::Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        self.0.next_key_seed(Wide(seed))
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        self.0.next_value_seed(Wide(seed))
    }

    fn size_hint(&self) -> Option<usize> {
        self.0.size_hint()
    }
}

impl<'de, A: EnumAccess<'de>> EnumAccess<'de> for Wide<A> {
    type Error = A::Error;
    type Variant = Wide<A::Variant>;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self::Variant), A::Error> {
        self.0.variant_seed(Wide(seed)).map(|(value, variant)| (value, Wide(variant)))
    }
}

impl<'de, A: VariantAccess<'de>> VariantAccess<'de> for Wide<A> {
    type Error = A::Error;

    fn unit_variant(self) -> Result<(), A::Error> {
        self.0.unit_variant()
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, A::Error> {
        self.0.newtype_variant_seed(Wide(seed))
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, A::Error> {
        self.0.tuple_variant(len, Wide(visitor))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        self.0.struct_variant(fields, Wide(visitor))
    }
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    use super::*;
    use crate::RequestId;
    use crate::answer::{MeshQuery, Question};
    use crate::frame::{Header, decode};
    use crate::local::{Compacted, Reply, Request};

    #[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
    struct Before {
        name: String,
        parts: Vec<Part<(u8, Option<u8>)>>,
    }

    #[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
    struct After {
        name: String,
        parts: Vec<Part<(u8, Option<u8>, bool)>>,
        more: Vec<String>,
    }

    #[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
    enum Part<T> {
        Nothing,
        Some(T),
        Named { of: T },
    }

    fn written() -> Vec<u8> {
        let parts = vec![Part::Nothing, Part::Some((1, Some(2), true)), Part::Named { of: (3, None, false) }];
        let after = After { name: "a".to_owned(), parts, more: vec!["b".to_owned(), "c".to_owned()] };
        rmp_serde::to_vec(&after).expect("it is small")
    }

    #[test]
    fn what_stands_behind_the_known_fields_is_passed_over() {
        let parts = vec![Part::Nothing, Part::Some((1, Some(2))), Part::Named { of: (3, None) }];
        let Wider(read) = decode::<Wider<Before>>(&written()).expect("it begins as before");
        assert_eq!(read, Before { name: "a".to_owned(), parts });
        assert!(decode::<Before>(&written()).is_err(), "only answers are read like this");
    }

    #[test]
    fn what_is_missing_is_still_missing() {
        let before = rmp_serde::to_vec(&("a", [(); 0])).expect("it is small");
        assert!(decode::<Wider<After>>(&before).is_err());
        assert!(decode::<Wider<Before>>(&rmp_serde::to_vec(&(7, 8)).expect("it is small")).is_err());
    }

    /// Puts one more value behind the fields of a message that has fewer than fifteen.
    fn grown(mut frame: Vec<u8>) -> Vec<u8> {
        let fields = &mut frame[Header::SIZE + 2];
        assert_eq!(*fields & 0xf0, 0x90, "a small array stands behind the number of the request");
        *fields += 1;
        frame.push(0xc0);
        frame
    }

    #[test]
    fn an_answer_may_grow_and_a_request_may_not() {
        let id = RequestId(1);
        let reply = Reply::Compacted(Compacted { bytes_before: 3, bytes_after: 2, segments: 1 });
        let bytes = grown(reply.encode(id).expect("it is small"));
        assert_eq!(Reply::decode(reply.kind(), &bytes[Header::SIZE..]), Ok((id, reply)));
        let request = Request::MeshQuery(MeshQuery {
            question: Question::Activity,
            group: None,
            since: None,
            until: None,
            compare: false,
        });
        let bytes = grown(request.encode(id).expect("it is small"));
        assert!(Request::decode(request.kind(), &bytes[Header::SIZE..]).is_err());
    }
}
