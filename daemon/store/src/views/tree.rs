//! The calls into sled: opened for one piece of work, and closed behind it.
//!
//! An open sled wakes seven threads a second for the rest of the process's life, and holds memory;
//! a write a day needs neither. It panics where it does not expect a failure; here that is damage.

use std::any::Any;
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::Duration;

use karo_core::rollup::Rollup;

use super::place::is_in_the_way;
use super::{LogPosition, ViewsError};
use crate::keys::{BadStamp, META, Meta, cell_key, cell_value, parse_cell_key, parse_cell_value};

/// Memory that sled may use for pages: the cells of a year are a few mebibytes, and nobody waits for one.
const CACHE_BYTES: u64 = 1024 * 1024;

/// How often its lock is asked for after sled was closed, and how long is waited in between: the
/// last of its threads lets go some microseconds late.
const RELEASE_TRIES: u32 = 200;
const RELEASE_PAUSE: Duration = Duration::from_millis(1);

/// What sled or its contents say.
#[derive(Debug)]
pub(super) enum Trouble {
    Sled(sled::Error),
    Damaged(&'static str),
}

impl From<sled::Error> for Trouble {
    fn from(error: sled::Error) -> Self {
        Self::Sled(error)
    }
}

impl From<BadStamp> for Trouble {
    fn from(_: BadStamp) -> Self {
        Self::Damaged("the position in the tree is unreadable")
    }
}

/// Opens the tree, works with it, flushes and closes it. When this returns `Ok`, no thread of sled's
/// touches the files any more.
pub(super) fn with<T>(
    path: &Path,
    work: impl FnOnce(&sled::Tree) -> Result<T, Trouble>,
) -> Result<T, ViewsError> {
    let config = sled::Config::new().path(path).cache_capacity(CACHE_BYTES).flush_every_ms(None);
    let tree = guarded(path, || Ok(config.open()?))?;
    drop(config);
    let result = guarded(path, || {
        let value = work(&tree)?;
        tree.flush()?;
        Ok(value)
    });
    // Closing writes, too; and it must not panic while another panic is on its way up.
    let closed = guarded(path, || {
        drop(tree);
        Ok(())
    });
    let value = result?;
    closed?;
    if is_released(path) { Ok(value) } else { Err(ViewsError::InUse) }
}

fn guarded<T>(path: &Path, call: impl FnOnce() -> Result<T, Trouble>) -> Result<T, ViewsError> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(Trouble::Damaged(reason))) => Err(ViewsError::Damaged(reason.to_owned())),
        // sled makes one error of this kind itself, when it does not get its lock.
        Ok(Err(Trouble::Sled(sled::Error::Io(error)))) if error.kind() == std::io::ErrorKind::Other => {
            Err(ViewsError::InUse)
        }
        Ok(Err(Trouble::Sled(sled::Error::Io(source)))) if is_in_the_way(&source) => {
            Err(ViewsError::Place { path: path.to_owned(), source })
        }
        Ok(Err(Trouble::Sled(error))) => Err(ViewsError::Damaged(error.to_string())),
        Err(panic) => Err(ViewsError::Damaged(format!("sled panicked: {}", panic_text(panic.as_ref())))),
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a word")
}

/// Tells whether the last of sled's threads has let go of its file.
fn is_released(path: &Path) -> bool {
    let Ok(file) = File::open(path.join("db")) else { return false };
    for _ in 0..RELEASE_TRIES {
        if file.try_lock().is_ok() {
            return true;
        }
        std::thread::sleep(RELEASE_PAUSE);
    }
    false
}

/// Returns the cells with keys from `start` to before `end`, of a tree that stands at that position.
pub(super) fn cells(
    tree: &sled::Tree,
    written: LogPosition,
    start: &[u8],
    end: &[u8],
) -> Result<Rollup, Trouble> {
    expect_position(tree, written)?;
    let mut rollup = Rollup::default();
    for entry in tree.range(start..end) {
        let (key, value) = entry?;
        let cell = parse_cell_key(&key).zip(parse_cell_value(&value));
        let (start, cell) = cell.ok_or(Trouble::Damaged("an entry is no roll-up cell"))?;
        rollup.merge_cell(start, &cell);
    }
    Ok(rollup)
}

/// Adds to a tree in one batch, and with it says where the tree stands: at `written` before, at
/// `position` afterwards, or nowhere yet.
pub(super) fn add(
    tree: &sled::Tree,
    written: Option<LogPosition>,
    pending: &Rollup,
    position: Option<LogPosition>,
) -> Result<(), Trouble> {
    if let Some(written) = written {
        expect_position(tree, written)?;
    }
    let mut batch = sled::Batch::default();
    for (start, part) in pending.iter() {
        let key = cell_key(start);
        let mut cell = part.clone();
        if let Some(known) = tree.get(key)? {
            let known = parse_cell_value(&known);
            cell.merge(&known.ok_or(Trouble::Damaged("an entry is no roll-up cell"))?);
        }
        if cell.is_empty() {
            batch.remove(&key);
        } else {
            batch.insert(&key, cell_value(&cell));
        }
    }
    if let Some(position) = position {
        batch.insert(META, Meta { position }.to_bytes());
    }
    Ok(tree.apply_batch(batch)?)
}

/// sled loses what it does not like without a word: what the seal says must be what the tree says.
fn expect_position(tree: &sled::Tree, written: LogPosition) -> Result<(), Trouble> {
    let meta = tree.get(META)?.map(|bytes| Meta::parse(&bytes)).transpose()?;
    match meta {
        Some(meta) if meta.position == written => Ok(()),
        Some(_) | None => Err(Trouble::Damaged("the tree does not stand where its seal says")),
    }
}
