//! The segment log, which is the truth, and the views derived from it.

#![warn(missing_docs)]

pub mod disk;
pub mod fields;
mod keys;
pub mod log;
pub mod payload;
pub mod records;
pub mod retention;
pub mod views;

pub use disk::{Disk, RealDisk};
pub use log::{
    AppendError, Appended, Entry, KEPT_BYTES_MAX, KEY_BYTES_MAX, LINE_BYTES_MAX, Load, OpenError, Opened,
    Options, Progress, ReadError, Reader, Reclassification, Revision, SERIES_MAX, SetAside, Store,
    VALUE_BYTES_MAX,
};
pub use records::Series;
pub use retention::RetentionRule;
