//! What a command line runs, found without a shell: words, operators, programs and their arguments.
//!
//! Deliberately simple: it knows quotes, operators, redirections, here-documents, assignments and
//! keywords, and looks neither into substitutions nor into quoted scripts. Linear in the text, for any bytes.

mod lex;
mod run;
#[cfg(test)]
mod tests;

pub(crate) use lex::{Lexer, Piece, unquoted};
pub(crate) use run::{Run, base_name, for_each_run};
