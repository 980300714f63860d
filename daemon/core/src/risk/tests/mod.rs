//! Rules against lines, and rules that are none.

mod pack;
