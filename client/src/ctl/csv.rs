//! CSV (RFC 4180): fields with a comma, a quote or a line's end are quoted, and lines end in CR LF.

use std::borrow::Cow;
use std::io::Write;

use super::exit::Trouble;
use super::shown::{Newline, shown};

/// Writes one line.
///
/// For a terminal, recorded text is made safe; elsewhere it stays as it is.
///
/// # Errors
///
/// When the line cannot be written.
pub fn write_line(out: &mut dyn Write, fields: &[Cow<'_, str>], is_terminal: bool) -> Result<(), Trouble> {
    let mut line = String::new();
    for (place, field) in fields.iter().enumerate() {
        if place > 0 {
            line.push(',');
        }
        match is_terminal {
            true => push(&shown(field.as_bytes(), Newline::Arrow), &mut line),
            false => push(field, &mut line),
        }
    }
    line.push_str("\r\n");
    out.write_all(line.as_bytes())?;
    Ok(())
}

fn push(field: &str, line: &mut String) {
    if !field.contains([',', '"', '\n', '\r']) {
        line.push_str(field);
        return;
    }
    line.push('"');
    line.push_str(&field.replace('"', "\"\""));
    line.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_quoted_where_they_must_be() {
        let line = |is_terminal| {
            let mut line = Vec::new();
            let fields = ["a", "b,c", "say \"hi\"", "two\nlines", "\x1b[31m", ""].map(Cow::from);
            write_line(&mut line, &fields, is_terminal).expect("memory takes it");
            String::from_utf8(line).expect("it was UTF-8")
        };
        assert_eq!(line(false), "a,\"b,c\",\"say \"\"hi\"\"\",\"two\nlines\",\x1b[31m,\r\n");
        assert_eq!(line(true), "a,\"b,c\",\"say \"\"hi\"\"\",two↵lines,\\x1b[31m,\r\n");
    }
}
