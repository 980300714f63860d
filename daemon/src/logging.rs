//! Where the log goes: standard error, or the journal where that is the log.
//!
//! `tracing-journald` drops what it cannot deliver. So where the journal is the log, its layer is
//! wrapped: when journald's socket is away, the same line goes to standard error.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use karo_protocol::config::{LogLevel, LogSettings, LogTarget};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Registry, reload};

/// Where journald takes records.
const JOURNAL_SOCKET: &str = "/run/systemd/journal/socket";

/// Changes the level of a running log.
pub struct LogControl(reload::Handle<LevelFilter, Registry>);

impl LogControl {
    /// Sets how much is logged from now on.
    pub fn set_level(&self, level: LogLevel) {
        if let Err(error) = self.0.modify(|filter| *filter = filter_of(level)) {
            tracing::warn!(%error, "could not change the level of the log");
        }
    }
}

const fn filter_of(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    }
}

/// Starts the log of this process; once per process.
///
/// Where journald was wanted and is away, standard error takes over and the first line says so.
pub fn start(settings: LogSettings) -> LogControl {
    let (filter, control) = reload::Layer::new(filter_of(settings.level));
    let wants_journal = match settings.target {
        LogTarget::Auto => is_journal_stream(),
        LogTarget::Stderr => false,
        LogTarget::Journald => true,
    };
    let journal = wants_journal.then(tracing_journald::layer);
    let stderr = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(rustix::termios::isatty(std::io::stderr()));
    let registry = Registry::default().with(filter);
    let started = match journal {
        Some(Ok(journal)) => {
            let fallback = Fallback { journal, stderr, socket: JOURNAL_SOCKET.into() };
            tracing::subscriber::set_global_default(registry.with(fallback))
        }
        Some(Err(_)) | None => tracing::subscriber::set_global_default(registry.with(stderr)),
    };
    if started.is_err() {
        tracing::debug!("this process logs already");
    }
    if wants_journal && !Path::new(JOURNAL_SOCKET).exists() {
        tracing::warn!(socket = JOURNAL_SOCKET, "the journal is away, the log goes to standard error");
    }
    LogControl(control)
}

/// Tells whether standard error is connected to the journal, as `JOURNAL_STREAM` names it.
fn is_journal_stream() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else { return false };
    let Ok(stderr) = std::fs::metadata("/dev/stderr") else { return false };
    stream == format!("{}:{}", stderr.dev(), stderr.ino())
}

/// The journal, and standard error while it is away.
struct Fallback<J, E> {
    journal: J,
    stderr: E,
    /// Where journald takes records, as long as it is there.
    socket: PathBuf,
}

impl<S, J, E> Layer<S> for Fallback<J, E>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    J: Layer<S>,
    E: Layer<S>,
{
    fn on_new_span(
        &self,
        attributes: &tracing::span::Attributes<'_>,
        id: &tracing::Id,
        context: Context<'_, S>,
    ) {
        self.journal.on_new_span(attributes, id, context.clone());
        self.stderr.on_new_span(attributes, id, context);
    }

    fn on_record(&self, id: &tracing::Id, values: &tracing::span::Record<'_>, context: Context<'_, S>) {
        self.journal.on_record(id, values, context.clone());
        self.stderr.on_record(id, values, context);
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        if self.socket.exists() {
            self.journal.on_event(event, context);
        } else {
            self.stderr.on_event(event, context);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Counts events.
    struct Counting(Arc<AtomicUsize>);

    impl<S: Subscriber> Layer<S> for Counting {
        fn on_event(&self, _: &Event<'_>, _: Context<'_, S>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn standard_error_takes_over_while_the_journal_is_away() {
        let directory = tempfile::tempdir().expect("there is room for a directory");
        let socket = directory.path().join("socket");
        let counts: [Arc<AtomicUsize>; 2] = Default::default();
        let fallback = Fallback {
            journal: Counting(Arc::clone(&counts[0])),
            stderr: Counting(Arc::clone(&counts[1])),
            socket: socket.clone(),
        };
        tracing::subscriber::with_default(Registry::default().with(fallback), || {
            tracing::info!("away");
            std::fs::write(&socket, "").expect("the directory is ours");
            tracing::info!("there");
            tracing::info!("there");
            std::fs::remove_file(&socket).expect("the directory is ours");
            tracing::info!("away again");
        });
        assert_eq!(counts.map(|count| count.load(Ordering::Relaxed)), [2, 2]);
    }
}
