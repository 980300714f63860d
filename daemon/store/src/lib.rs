//! The segment log, which is the truth, and the views derived from it.
