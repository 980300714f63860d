//! What a command line runs, found without a shell: words, operators, programs and their arguments.
//!
//! Deliberately simple: it knows quotes, operators, redirections, here-documents, assignments and
//! keywords, and looks neither into substitutions nor into quoted scripts. Linear in the text, for any bytes.

mod lex;
mod run;
#[cfg(test)]
mod tests;

pub(crate) use lex::end_of_word;
pub(crate) use run::{Run, for_each_run};
