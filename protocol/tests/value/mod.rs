//! Any value of MessagePack, whether it is a message or not.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// Any single value of MessagePack, well formed, of the kinds that the scan lets through.
pub(crate) fn any_value() -> impl Strategy<Value = Vec<u8>> {
    let sized = |first: u8, bytes: &[u8]| [&[first, bytes.len() as u8], bytes].concat();
    let leaf = prop_oneof![
        select(&[0x00_u8, 0x01, 0x7f, 0xff, 0xe0, 0xc0, 0xc2, 0xc3][..]).prop_map(|byte| vec![byte]),
        any::<u16>().prop_map(|number| [&[0xcd][..], &number.to_be_bytes()].concat()),
        any::<u32>().prop_map(|number| [&[0xce][..], &number.to_be_bytes()].concat()),
        any::<i64>().prop_map(|number| [&[0xd3][..], &number.to_be_bytes()].concat()),
        any::<f64>().prop_map(|number| [&[0xcb][..], &number.to_be_bytes()].concat()),
        vec(any::<u8>(), 0..40).prop_map(move |bytes| sized(0xc4, &bytes)),
        vec(any::<u8>(), 0..40).prop_map(move |bytes| sized(0xd9, &bytes)),
        vec(any::<u8>(), 16).prop_map(move |bytes| sized(0xc4, &bytes)),
        select(&["Start", "End", "Running", "Ended", "Lost", "Under", "Code"][..]).prop_map(|name| [
            &[0xa0 | name.len() as u8],
            name.as_bytes()
        ]
        .concat()),
    ];
    leaf.prop_recursive(8, 64, 15, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..15)
                .prop_map(|items| [vec![0x90 | items.len() as u8], items.concat()].concat()),
            vec((inner.clone(), inner), 0..4).prop_map(|items| {
                let pairs: Vec<u8> =
                    items.iter().flat_map(|(key, value)| [&key[..], value].concat()).collect();
                [vec![0x80 | items.len() as u8], pairs].concat()
            }),
        ]
    })
}
