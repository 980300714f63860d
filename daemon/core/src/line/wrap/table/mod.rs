//! The wrappers, by what they are for.

mod develop;
mod elsewhere;
mod rights;
mod shell;
mod system;

use super::row::Wrapper;

/// Returns all rows.
pub(super) fn all() -> impl Iterator<Item = &'static Wrapper> {
    let tables = [shell::TABLE, rights::TABLE, system::TABLE, elsewhere::TABLE, develop::TABLE];
    tables.into_iter().flatten()
}
