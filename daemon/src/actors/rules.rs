//! Keeps the rules that say how risky a command is: reads them, watches their files, and reads them anew.
//!
//! Whoever needs them holds a [`RulesDesk`] and sees the newest set; a set that is in use is never changed, so a
//! reload waits for nobody and loses nothing. Reading blocks, so the actor has its own arbiter.
//!
//! | message | from | answer |
//! | --- | --- | --- |
//! | [`Adopt`] | root, after a reload | none; the directories are read anew |
//! | [`Ring`] | the watch over the directories | none |

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use actix::{Actor, AsyncContext, Context, Handler, Message};
use karo_core::redact::Redactor;
use karo_core::risk::{RuleFile, Rules};
use karo_core::understand::Knowledge;
use karo_protocol::Timestamp;
use karo_protocol::config::{RedactSettings, RulesSettings};
use karo_protocol::local::{RefusedRule, Rule, RulesPage, RulesStatus};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::watch;

use crate::clock;
use crate::lease::Lease;
use crate::logging::say;
use crate::rule_files::{RuleFiles, Unread};

/// Messages that may wait here; the doorbell rings once until it is answered.
const MAILBOX: usize = 64;

/// How long files may go on changing before they are read: a checkout writes hundreds of them.
const SETTLING: Duration = Duration::from_millis(300);

/// How often a directory that cannot be watched is looked for.
const RETRY: Duration = Duration::from_secs(5);

/// Other directories, or other things to be cut out. Sent by the root after a reload.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Adopt(pub RulesSettings, pub RedactSettings);

/// Something has changed in a directory of rules. Sent by the watch, once until it is answered.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Ring;

/// What commands are understood by, as it was loaded.
#[derive(Debug)]
pub struct Loaded {
    /// The rules, and what cuts secrets out.
    pub knowledge: Arc<Knowledge>,
    /// Files that could not be read.
    pub unread: Vec<Unread>,
    /// When it was loaded.
    pub at: Timestamp,
}

impl Loaded {
    fn load(settings: &RulesSettings, redact: &RedactSettings) -> Self {
        let found = RuleFiles::read(&settings.dirs);
        let paths: Vec<String> = found.files.iter().map(|file| file.path.display().to_string()).collect();
        let files: Vec<RuleFile<'_>> =
            found.files.iter().zip(&paths).map(|(file, path)| RuleFile { path, text: &file.text }).collect();
        let redactor = Redactor::new(redact.extra.clone(), redact.allow.clone());
        let knowledge = Knowledge::new(redactor, Rules::load(&files));
        Self { knowledge: Arc::new(knowledge), unread: found.unread, at: clock::now() }
    }

    /// Says how many rules there are.
    pub fn status(&self) -> RulesStatus {
        let rules = self.knowledge.rules();
        RulesStatus {
            loaded: rules.listed().count() as u64,
            refused: (rules.refused().len() + self.unread.len()) as u64,
            loaded_at: Some(self.at),
            version: self.knowledge.version(),
        }
    }

    /// Lists the rules, and what cannot be used.
    pub fn page(&self) -> RulesPage {
        let mut page = page(self.knowledge.rules());
        page.refused.extend(self.unread.iter().map(|unread| RefusedRule {
            file: unread.path.display().to_string(),
            line: None,
            id: None,
            reason: unread.reason.clone(),
        }));
        page
    }
}

/// Lists rules, and what cannot be used.
pub fn page(rules: &Rules) -> RulesPage {
    let listed = rules.listed().map(|rule| Rule {
        id: rule.id.clone(),
        title: rule.title.clone(),
        level: rule.level,
        axis: rule.axis,
        tags: rule.tags.clone(),
        file: rule.path.clone(),
    });
    let refused = rules.refused().iter().map(|refused| RefusedRule {
        file: refused.path.clone(),
        line: refused.line,
        id: refused.id.clone(),
        reason: refused.reason.clone(),
    });
    let remarks = rules.listed().filter(|rule| !rule.unseen.is_empty()).map(|rule| {
        let fields = rule.unseen.join(", ");
        format!("{}: asks for {fields}, which no command line has; that part of it finds nothing", rule.path)
    });
    RulesPage { rules: listed.collect(), refused: refused.collect(), remarks: remarks.collect() }
}

/// Where the newest rules are to be had; before the first set is loaded there is none.
#[derive(Debug, Clone, Default)]
pub struct RulesDesk(Arc<OnceLock<watch::Receiver<Arc<Loaded>>>>);

impl RulesDesk {
    /// Returns the newest set, if one is loaded by now.
    pub fn newest(&self) -> Option<Arc<Loaded>> {
        self.0.get().map(|loaded| Arc::clone(&loaded.borrow()))
    }

    /// Returns the newest set, as soon as there is one.
    pub async fn loaded(&self) -> Option<Arc<Loaded>> {
        if let Some(loaded) = self.newest() {
            return Some(loaded);
        }
        let desk = self.clone();
        let loaded = tokio::task::spawn_blocking(move || Arc::clone(&desk.wait().borrow())).await;
        // Nothing in there can panic, so an error means that the daemon is ending.
        loaded.ok()
    }

    /// Returns where every new set is seen. Blocks until the first is there.
    pub fn wait(&self) -> watch::Receiver<Arc<Loaded>> {
        self.0.wait().clone()
    }
}

/// The actor. See the module.
pub struct RulesActor {
    settings: RulesSettings,
    redact: RedactSettings,
    newest: watch::Sender<Arc<Loaded>>,
    is_rung: Arc<AtomicBool>,
    watcher: Option<RecommendedWatcher>,
    watched: Vec<PathBuf>,
    _lease: Lease,
}

impl RulesActor {
    /// Reads the first set and shows it at the desk. Blocks as long as that takes.
    pub fn new(settings: RulesSettings, redact: RedactSettings, desk: &RulesDesk, lease: Lease) -> Self {
        let (newest, receiver) = watch::channel(Arc::new(Loaded::load(&settings, &redact)));
        let is_first = desk.0.set(receiver).is_ok();
        debug_assert!(is_first, "a desk belongs to one actor");
        report(&newest.borrow());
        Self {
            settings,
            redact,
            newest,
            is_rung: Arc::default(),
            watcher: None,
            watched: Vec::new(),
            _lease: lease,
        }
    }

    /// Reads everything anew, and shows it if it says anything else.
    fn reload(&self) {
        let loaded = Loaded::load(&self.settings, &self.redact);
        let before = Arc::clone(&self.newest.borrow());
        if before.knowledge.version() != loaded.knowledge.version() || before.unread != loaded.unread {
            self.show(loaded);
        }
    }

    fn show(&self, loaded: Loaded) {
        report(&loaded);
        self.newest.send_replace(Arc::new(loaded));
    }

    fn watch(&mut self, ctx: &mut Context<Self>) {
        let (address, is_rung) = (ctx.address(), Arc::clone(&self.is_rung));
        let ring = move |event: notify::Result<notify::Event>| {
            let is_news = event.as_ref().map_or(true, |event| !matches!(event.kind, EventKind::Access(_)));
            if is_news && !is_rung.swap(true, Ordering::AcqRel) && address.try_send(Ring).is_err() {
                is_rung.store(false, Ordering::Release);
            }
        };
        self.watched.clear();
        match notify::recommended_watcher(ring) {
            Ok(watcher) => self.watcher = Some(watcher),
            Err(error) => {
                say!(Class::RulesUnwatched, %error, "rules cannot be watched; send a HUP after changing them");
            }
        }
        self.watch_the_rest(ctx);
    }

    /// Watches the directories that are not watched yet; those that are not there are looked for again.
    fn watch_the_rest(&mut self, ctx: &mut Context<Self>) {
        let Some(watcher) = &mut self.watcher else { return };
        let mut is_waiting = false;
        let mut is_new = false;
        for directory in &self.settings.dirs {
            if self.watched.contains(directory) {
                continue;
            }
            match watcher.watch(directory, RecursiveMode::Recursive) {
                Ok(()) => {
                    is_new = true;
                    self.watched.push(directory.clone());
                }
                Err(error) => {
                    tracing::debug!(path = %directory.display(), %error, "rules are not there yet");
                    is_waiting = true;
                }
            }
        }
        if is_waiting {
            ctx.run_later(RETRY, Self::watch_the_rest);
        }
        // What was put there before the watch began has rung no bell.
        if is_new {
            self.reload();
        }
    }
}

/// Says in the log what was loaded.
fn report(loaded: &Loaded) {
    let RulesStatus { loaded: rules, refused, .. } = loaded.status();
    say!(Class::RulesInForce, rules, refused, "rules are in force");
    for refused in loaded.page().refused {
        say!(Class::RuleRefused, file = %refused.file, line = refused.line, reason = %refused.reason, "a rule cannot be used");
    }
}

impl Actor for RulesActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
        if !self.settings.dirs.is_empty() {
            self.watch(ctx);
        }
    }
}

impl Handler<Adopt> for RulesActor {
    type Result = ();

    fn handle(&mut self, Adopt(settings, redact): Adopt, ctx: &mut Self::Context) {
        let is_moved = settings.dirs != self.settings.dirs;
        (self.settings, self.redact) = (settings, redact);
        // What is cut out has no version that could tell whether it is another thing now.
        self.show(Loaded::load(&self.settings, &self.redact));
        if is_moved {
            self.watch(ctx);
        }
    }
}

impl Handler<Ring> for RulesActor {
    type Result = ();

    fn handle(&mut self, _: Ring, ctx: &mut Self::Context) {
        ctx.run_later(SETTLING, |actor, ctx| {
            // A change from here on rings anew.
            actor.is_rung.store(false, Ordering::Release);
            actor.reload();
            // A directory that was taken away and came back is another one.
            actor.watched.retain(|directory| directory.is_dir());
            actor.watch_the_rest(ctx);
        });
    }
}
