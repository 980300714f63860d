//! The columns beside a plain list that is asked in the plainest way: both must say the same.

mod made;
mod model;

use std::collections::BTreeSet;

use karo_protocol::query::{Count, CountBy, Detail, Order};
use karo_protocol::{Bytes, Filter, Query, State, Timestamp};
use made::{Asked, Spec, Step, filter, shell, spec, step};
use model::{Known, Model, newest_of_each_text, zones};
use proptest::prelude::*;
use proptest::sample::select;

use crate::rollup::Rollup;

use super::chunk::{CHUNK_ROWS, Chunk, HIGH_SEQUENCE, LONG_DURATION, WIDE_EXIT};
use super::{BriefOutcome, Change, Columns, Hit, Key, Position};

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    #[test]
    fn columns_answer_as_a_plain_list_does(
        steps in prop::collection::vec(step(), 1..24),
        filters in prop::collection::vec(filter(), 3),
        rows_max in 1..9_usize,
    ) {
        let mut model = Model::default();
        let mut columns = Columns::new();
        for step in steps {
            for change in model.apply(step) {
                columns.apply(change);
            }
            check_all(&model, &columns, &filters[0], rows_max);
            check_rows(&columns);
        }
        for filter in &filters {
            check_all(&model, &columns, filter, rows_max);
            check_counts(&model, &columns, filter);
        }
        check_stats(&model, &columns);
    }

    #[test]
    fn a_roll_up_that_lived_through_the_changes_is_the_one_made_anew(
        steps in prop::collection::vec(step(), 1..24),
    ) {
        let mut model = Model::default();
        let mut columns = Columns::new();
        let mut lived = Rollup::default();
        for step in steps {
            for change in model.apply(step) {
                match columns.apply_counted(change) {
                    Some(deltas) => deltas.iter().for_each(|delta| lived.apply(delta)),
                    // The change is about an event that is not there yet.
                    None => lived = columns.rollup(),
                }
            }
            prop_assert!(lived == columns.rollup());
        }
    }

    #[test]
    fn pages_stay_whole_while_events_come_in(
        before in prop::collection::vec(spec(), 1..60),
        between in prop::collection::vec(prop::collection::vec(spec(), 0..4), 30),
        filter in filter(),
        (is_unique, order) in (any::<bool>(), select(Order::ALL)),
    ) {
        let mut model = Model::default();
        let mut columns = Columns::new();
        model.apply(Step::Add(before)).into_iter().for_each(|change| columns.apply(change));
        let promised: Vec<Known> = model.matching(&filter, None, order).into_iter().cloned().collect();
        let query = query(&filter, is_unique, order, None);
        let (mut cursor, mut shown) = (None, Vec::new());
        for specs in between.into_iter().chain(std::iter::repeat_with(Vec::new)) {
            let page = columns.page(&query, cursor.take(), 3, None);
            shown.extend(page.hits);
            model.apply(Step::Add(specs)).into_iter().for_each(|change| columns.apply(change));
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        let positions: BTreeSet<Position> = shown.iter().map(|hit| hit.position).collect();
        prop_assert_eq!(positions.len(), shown.len(), "an event was shown twice");
        let texts: BTreeSet<&Bytes> = shown.iter().map(|hit| &hit.row.command).collect();
        if is_unique {
            prop_assert_eq!(texts.len(), shown.len(), "a text was shown twice");
            prop_assert!(promised.iter().all(|event| texts.contains(&event.command)));
        } else {
            prop_assert!(promised.iter().all(|event| positions.contains(&event.position)));
        }
    }
}

#[test]
fn a_deleted_text_is_not_left_in_memory() {
    let mut model = Model::default();
    let mut columns = Columns::new();
    let secret = Spec { command: Bytes::from("Very-Secret"), cwd: Bytes::from("/hidden"), ..Spec::plain() };
    for change in model.apply(Step::Add(vec![Spec::plain(), secret])) {
        columns.apply(change);
    }
    columns.apply(Change::Removed(vec![model.events[1].position]));
    let memory = format!("{columns:?}");
    assert!(memory.contains("108, 115"), "the text that is left, `ls`, is somewhere in {memory}");
    for needle in [&b"very-secret"[..], b"/hidden"] {
        let bytes: Vec<String> = needle.iter().map(u8::to_string).collect();
        assert!(!memory.contains(&bytes.join(", ")));
    }
    assert_eq!((columns.len(), columns.stats().texts), (1, 1));
}

#[test]
fn a_text_that_was_cut_anew_is_not_left_in_memory() {
    let mut model = Model::default();
    let mut columns = Columns::new();
    let secret = Spec { command: Bytes::from("login Very-Secret"), ..Spec::plain() };
    for change in model.apply(Step::Add(vec![Spec::plain(), secret])) {
        columns.apply(change);
    }
    let cut = Spec { command: Bytes::from("login -"), ..Spec::plain() };
    model.apply(Step::Revise(vec![false, true], vec![cut])).into_iter().for_each(|c| columns.apply(c));
    let memory = format!("{columns:?}");
    let bytes: Vec<String> = b"very-secret".iter().map(u8::to_string).collect();
    assert!(!memory.contains(&bytes.join(", ")));
    assert_eq!((columns.len(), columns.stats().texts), (2, 2));
}

#[test]
fn outcomes_that_nothing_waits_for_are_forgotten_when_all_is_loaded() {
    let mut columns = Columns::new();
    let outcome = BriefOutcome { state: State::Lost, duration: None, exit: None, position: None };
    columns.set_partial_since(Some(Timestamp::from_micros(5)));
    assert_eq!(columns.partial_since(), Some(Timestamp::from_micros(5)));
    columns.apply(Change::Outcome { key: (shell(0).id, 1), outcome });
    let beside = |columns: &Columns| columns.stats().bytes.last().map_or(0, |(_, size)| *size);
    assert_ne!(beside(&columns), 0);
    columns.set_partial_since(None);
    assert_eq!(beside(&columns), 0);
}

#[test]
fn a_log_read_from_its_newest_end_leaves_few_chunks() {
    let mut model = Model::default();
    let mut columns = Columns::new();
    for number in (0..400).rev() {
        let spec = Spec { started_at: Timestamp::from_micros(number), ..Spec::plain() };
        model.apply(Step::Add(vec![spec])).into_iter().for_each(|change| columns.apply(change));
    }
    assert!(columns.chunks.len() <= 400 / CHUNK_ROWS * 2 + 4, "{} chunks", columns.chunks.len());
    check_rows(&columns);
}

#[test]
fn texts_that_get_new_numbers_are_still_shown_once() {
    for order in Order::ALL {
        let mut model = Model::default();
        let mut columns = Columns::new();
        let spec = |n: i64| Spec {
            command: Bytes(format!("text {}", n % 400).into_bytes()),
            started_at: Timestamp::from_micros(n),
            ..Spec::plain()
        };
        model.apply(Step::Add((0..1200).map(spec).collect())).into_iter().for_each(|c| columns.apply(c));
        let asked = query(&Filter::default(), true, *order, None);
        let first = columns.page(&asked, None, 30, None);
        // Of every third text nothing is left.
        let gone = model.events.iter().filter(|event| event.started_at.as_micros() % 400 % 3 == 1);
        columns.apply(Change::Removed(gone.map(|event| event.position).collect()));
        assert_eq!(columns.generation, 1);
        let mut hits = first.hits;
        let mut cursor = first.next;
        while let Some(next) = cursor {
            let page = columns.page(&asked, Some(next), 30, None);
            hits.extend(page.hits);
            cursor = page.next;
        }
        let texts: BTreeSet<&Bytes> = hits.iter().map(|hit| &hit.row.command).collect();
        assert_eq!(texts.len(), hits.len(), "{order}: a text was shown twice");
        assert!((0..400).filter(|n| n % 3 != 1).all(|n| texts.contains(&spec(n).command)), "{order}");
    }
}

/// Checks what holds for the rows whatever happened.
fn check_rows(columns: &Columns) {
    for chunk in &columns.chunks {
        assert!(!chunk.is_empty() && chunk.len() <= CHUNK_ROWS, "a chunk has {} rows", chunk.len());
        assert!(chunk.is_sorted());
    }
    assert!(columns.chunks.windows(2).all(|pair| pair[0].last() < pair[1].first()));
    let rows = |is_wide: fn(&Chunk, usize) -> bool| -> usize {
        columns.chunks.iter().map(|chunk| (0..chunk.len()).filter(|row| is_wide(chunk, *row)).count()).sum()
    };
    assert_eq!(columns.wide.durations.len(), rows(|chunk, row| chunk.duration[row] == LONG_DURATION));
    assert_eq!(columns.wide.exits.len(), rows(|chunk, row| chunk.exit[row] == WIDE_EXIT));
    assert_eq!(columns.wide.sequences.len(), rows(|chunk, row| chunk.sequence.at(row) == HIGH_SEQUENCE));
}

/// Asks both the same in all orders, page by page.
fn check_all(model: &Model, columns: &Columns, asked: &Asked, rows_max: usize) {
    let only = asked.only(model);
    let only = only.as_deref();
    let filter = &asked.filter;
    for (order, is_unique) in [true, false].into_iter().flat_map(|u| Order::ALL.iter().map(move |o| (*o, u)))
    {
        let mut expected = model.matching(filter, only, order);
        if is_unique {
            expected = newest_of_each_text(expected, order);
        }
        for limit in [None, Some(4)] {
            let expected = &expected[..expected.len().min(limit.map_or(usize::MAX, |limit| limit as usize))];
            let hits = pages(columns, &query(filter, is_unique, order, limit), only, rows_max);
            let hits: Vec<Known> = hits.into_iter().map(Known::from_hit).collect();
            let expected: Vec<Known> = expected.iter().map(|event| event.as_shown()).collect();
            assert_eq!(hits, expected, "{filter:?} {order} unique {is_unique} limit {limit:?}");
        }
    }
    let expected = model.matching(filter, only, Order::OldestFirst);
    assert_eq!(columns.total(filter, only), expected.len() as u64);
    let keys: Vec<(Key, Position)> = expected.iter().map(|event| (event.key(), event.position)).collect();
    assert_eq!(columns.keys(filter, only), keys);
}

fn check_counts(model: &Model, columns: &Columns, asked: &Asked) {
    let only = asked.only(model);
    for by in CountBy::ALL.iter().map(|by| Some(*by)).chain([None]) {
        for zone in zones() {
            let count = Count { filter: asked.filter.clone(), by, zone };
            let expected = model.count(&count, only.as_deref());
            assert_eq!(columns.count(&count, only.as_deref()), expected, "{count:?}");
        }
    }
}

fn check_stats(model: &Model, columns: &Columns) {
    let stats = columns.stats();
    let texts: BTreeSet<&Bytes> = model.events.iter().map(|event| &event.command).collect();
    assert_eq!((stats.events, stats.texts), (model.events.len() as u64, texts.len() as u64));
    assert_eq!(stats.oldest, model.events.iter().map(|event| event.started_at).min());
    assert_eq!(stats.newest, model.events.iter().map(|event| event.started_at).max());
    let mut running: Vec<_> = columns.running().map(|(shell, seq, at)| (shell.id, seq, at)).collect();
    running.sort();
    let mut expected: Vec<_> = model
        .events
        .iter()
        .filter(|event| event.outcome.state == State::Running)
        .map(|event| (event.shell.id, event.sequence, event.started_at))
        .collect();
    expected.sort();
    assert_eq!(running, expected);
}

fn pages(columns: &Columns, query: &Query, only: Option<&[Position]>, rows_max: usize) -> Vec<Hit> {
    let (mut hits, mut cursor) = (Vec::new(), None);
    loop {
        let page = columns.page(query, cursor, rows_max, only);
        assert!(page.hits.len() <= rows_max);
        hits.extend(page.hits);
        cursor = page.next;
        assert!(cursor.is_none() || query.limit.is_none_or(|limit| hits.len() < limit as usize));
        if cursor.is_none() {
            return hits;
        }
    }
}

fn query(filter: &Filter, is_unique: bool, order: Order, limit: Option<u32>) -> Query {
    Query { filter: filter.clone(), is_unique, limit, order, detail: Detail::Row }
}
