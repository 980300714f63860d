//! What holds of the redaction of any line, for the fuzzer and for its corpus.

use karo_core::line::parse;
use karo_core::redact::Redactor;
use karo_protocol::RawCommand;
use karo_protocol::event::marker;

/// Redacts a line, and holds what comes of it against what must be true of it.
pub(crate) fn secrets(bytes: &[u8]) {
    let raw = RawCommand::new(bytes);
    let bytes = raw.as_bytes();
    let redacted = Redactor::default().redact(&raw, &parse(bytes));
    let text = redacted.command.as_bytes();
    assert_eq!(redacted.reasons.len(), redacted.redactions.len());
    assert_eq!(redacted.line.is_some(), !redacted.reasons.is_empty());
    let mut done = 0;
    for (told, redaction) in redacted.reasons.iter().zip(&redacted.redactions) {
        assert!(done <= told.cut.start && told.cut.start < told.cut.end && told.cut.end <= bytes.len());
        assert_eq!(told.cut.kind, redaction.kind);
        assert_eq!(
            &text[redaction.start as usize..redaction.end as usize],
            marker(redaction.kind).as_bytes()
        );
        done = told.cut.end;
    }
    if std::str::from_utf8(bytes).is_ok() {
        assert!(std::str::from_utf8(text).is_ok(), "valid UTF-8 stays valid");
    }
    let again = Redactor::default().redact(&RawCommand::new(text), &parse(text));
    assert_eq!(again.command.as_bytes(), text, "redacting twice changes nothing");
    assert!(again.redactions.is_empty());
}
