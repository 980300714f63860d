//! Who is given whose address: the one place where all actors meet.
//!
//! An address is given in the constructor, so a signature says whom an actor talks to. Children are
//! made from the end of the stream to its beginning: first what answers, last what listens.

use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::thread::available_parallelism;
use std::time::Instant;

use actix::{Actor, Addr, Arbiter, AsyncContext, Context, Recipient, System};
use interprocess::local_socket::tokio::Listener;
use karo_core::policy::in_force;
use karo_protocol::config::{Settings, SocketSettings};
use karo_protocol::node::Nonce;
use karo_protocol::peer::Signed;
use karo_protocol::places::Places;
use karo_store::views::Views;
use karo_store::{OpenError, Opened, Options, SetAside, Store};
use karo_trust::{Chance, System as Randomness};
use tokio::sync::{Semaphore, oneshot, watch};

use crate::actors::audit::AuditActor;
use crate::actors::discovery::DiscoveryActor;
use crate::actors::follow::Follow;
use crate::actors::groups::{self, GroupDesk, GroupsActor};
use crate::actors::ingest::Ingest;
use crate::actors::mesh::MeshDesk;
use crate::actors::pairing::PairingActor;
use crate::actors::peers::{Mesh, PeersActor};
use crate::actors::query::QueryActor;
use crate::actors::questions::{self, QuestionsActor};
use crate::actors::root::{Household, Root};
use crate::actors::rules::{RulesActor, RulesDesk};
use crate::actors::session::Post;
use crate::actors::sharing::SharingDesk;
use crate::actors::shells::Shells;
use crate::actors::socket::{self, Socket};
use crate::actors::spool::Spool;
use crate::actors::store::{Listeners, StoreActor};
use crate::actors::summary::{self, SummaryActor};
use crate::actors::talks::{Introduced, Introducer, Talks};
use crate::actors::watch::Watch;
use crate::actors::worker::Worker;
use crate::actors::{Budget, Intake};
use crate::auditor::Auditor;
use crate::background;
use crate::counters::{Counter, Counters};
use crate::exit::Ending;
use crate::ground::{self, GroundError};
use crate::groups_desk::GroupsDesk;
use crate::lease::{Gone, Lease};
use crate::loader::load;
use crate::logging::LogControl;
use crate::logging::say;
use crate::neighbourhood::Neighbourhood;
use crate::policy_desk::policy_desk;
use crate::service::actor::{Given, Member, Sources, allowed_by_environment};
use crate::service::progress::{CountedDisk, until_rules};
use crate::service::{self, Herald, ServiceActor, activation};
use crate::signals::Signals;
use crate::status::{Identity, StatusDesk, resident_bytes};
use crate::{clock, settings};

/// Threads that understand commands: more than this and the single writer is what they wait for.
const WORKERS_MAX: usize = 4;

/// What a daemon is started with.
pub struct Start {
    /// Where everything lies.
    pub places: Places,
    /// What it runs by.
    pub settings: Settings,
    /// Its log.
    pub log: LogControl,
    /// The socket that a service manager listens on, if one does.
    pub handed: Option<UnixListener>,
    /// Tells a service manager how the daemon is.
    pub herald: Herald,
}

impl Start {
    /// Reads places and configuration, and starts the log.
    ///
    /// # Errors
    ///
    /// [`Ending::Ground`], [`Ending::Settings`] and [`Ending::Activation`].
    pub fn prepare(
        config: Option<PathBuf>,
        handed: Option<UnixListener>,
        herald: Herald,
    ) -> Result<Self, Ending> {
        let mut places = ground::places()?;
        if let Some(config) = config {
            places.config = config;
        }
        let settings = settings::load(&places.config)?;
        if let Some(handed) = &handed {
            activation::judge(handed, &places.socket)?;
        }
        let log = crate::logging::start(settings.log);
        Ok(Self { places, settings, log, handed, herald })
    }
}

/// Runs a daemon until it is told to stop.
///
/// The lock and the check of the live segment come first, then the socket opens: whoever connects
/// is served durably. What is in the log becomes searchable meanwhile.
pub fn run(mut start: Start) -> Ending {
    let kept = match start.herald.while_opening("opening the store", || open(&start)) {
        Ok(kept) => kept,
        Err(ending) => return ending,
    };
    System::new().block_on(async move {
        // Before anybody can connect: whoever found the daemon may send it a signal.
        let signals = match Signals::heed() {
            Ok(signals) => signals,
            Err(error) => return Ending::Bug(format!("signals cannot be heard: {error}")),
        };
        let is_handed = start.handed.is_some();
        let listener = match listen(&start.places, start.handed.take()) {
            Ok(listener) => listener,
            Err(ending) => return ending,
        };
        let (sender, ended) = oneshot::channel();
        let herald = start.herald.clone();
        let root = Root::create(|ctx| wire(ctx, start, kept, (listener, is_handed), sender));
        // The lock is held, the live segment is checked, and the socket listens.
        herald.ready();
        tokio::task::spawn_local(signals.pass_on(root));
        ended.await.unwrap_or_else(|_| Ending::Bug("the root is gone".to_owned()))
    })
}

/// Makes the ground safe and opens the store.
fn open(start: &Start) -> Result<Kept, Ending> {
    let places = &start.places;
    ground::secure_directory(&places.data)?;
    for spool in places.spools() {
        ground::secure_directory(spool)?;
    }
    let options = Options { reserve_bytes: start.settings.store.reserve_bytes, ..Options::default() };
    let steps = Arc::<Counter>::default();
    let opened = Store::open(&places.data, options, Arc::new(CountedDisk(Arc::clone(&steps))), clock::now());
    let (store, opened) = opened.map_err(|error| match error {
        OpenError::Locked { .. } => Ending::Taken { directory: places.data.display().to_string() },
        OpenError::Newer { .. } | OpenError::Disk { .. } => Ending::Store(error.to_string()),
    })?;
    report(&opened);
    let views = Views::open(&places.data, clock::now()).map_err(|error| Ending::Store(error.to_string()))?;
    Ok(Kept { store, views: views_reported(views), damage: opened.damage.len() as u64, steps })
}

/// The store as it was found.
struct Kept {
    store: Store,
    views: Views,
    /// Places that are not as they were written.
    damage: u64,
    /// Counts what the writer changes on the disk.
    steps: Arc<Counter>,
}

/// Says in the log what was found of the views.
fn views_reported((views, opened): (Views, karo_store::views::Opened)) -> Views {
    use karo_store::views::Opened;
    match opened {
        Opened::New | Opened::Kept => {}
        Opened::Unfinished => {
            say!(Class::ViewsRebuilt, "the views were not closed in order; they are made anew from the log")
        }
        Opened::OtherFormat(format) => {
            say!(Class::ViewsRebuilt, format, "the views were of another format; they are made anew")
        }
        Opened::Damaged { moved_to, reason } => {
            say!(Class::ViewsDamaged, moved_to = %moved_to.display(), %reason, "the views were damaged; they are made anew from the log");
        }
    }
    views
}

/// Says in the log what was found in the store.
fn report(opened: &Opened) {
    let kinds = [("torn", &opened.torn), ("undecided: torn, or damaged since", &opened.undecided)];
    for (what, found) in kinds.into_iter().flat_map(|(what, all)| all.iter().map(move |found| (what, found)))
    {
        let SetAside { segment, offset, bytes, moved_to } = found;
        say!(Class::LogEndMended, segment, offset, bytes, moved_to = ?moved_to, "the end of the log was {what}; nothing acknowledged is lost");
    }
    for found in &opened.damage {
        say!(
            Class::LogDamaged,
            segment = found.segment,
            offset = found.offset,
            reason = found.reason,
            "the log is damaged"
        );
    }
    if let Some(version) = opened.migrated_from {
        say!(Class::StoreMigrated, version, "the store was of an older format and was migrated");
    }
    if opened.is_waiting_for_room {
        say!(
            Class::DiskFull,
            "the disk is too full to finish what a crash left; nothing is accepted until there is room"
        );
    }
}

/// Listens on the socket that was handed over, else on one of our own.
fn listen(places: &Places, handed: Option<UnixListener>) -> Result<Listener, Ending> {
    let bound = match handed {
        Some(handed) => activation::listen(handed),
        None => {
            ground::clear_socket(&places.socket)?;
            socket::bind(&places.socket)
        }
    };
    bound.map_err(|error| GroundError::Io { path: places.socket.clone(), error }.into())
}

/// Makes everybody, and gives everybody the addresses they need.
fn wire(
    ctx: &mut Context<Root>,
    start: Start,
    Kept { mut store, views, damage, steps }: Kept,
    (listener, is_handed): (Listener, bool),
    ending: oneshot::Sender<Ending>,
) -> Root {
    let Start { places, settings, log, handed: _, herald } = start;
    let root = ctx.address();
    let limits = service::Limits::read();
    let lease = |name| Lease::new(name, root.clone().recipient());
    let counters = Arc::<Counters>::default();
    let reader = store.reader();

    let query = {
        let (reader, lease) = (reader.clone(), lease("query"));
        QueryActor::start_in_arbiter(&Arbiter::new().handle(), move |_| QueryActor::new(reader, lease))
    };
    let neighbourhood = Neighbourhood::found(&places, &store, &settings);
    let kept = (groups::Kept::of(&store), summary::Kept::restore(&store));
    let auditor = neighbourhood.auditor(&mut store, damage);
    let heads = auditor.heads();
    let (shells, store) =
        wire_store(&root, (store, views, auditor), (&settings, limits.shells()), &query, &counters);
    let audit = {
        let (reader, desk, heads) = (reader.clone(), neighbourhood.roster.clone(), heads.clone());
        let (keep, lease) = (store.clone().recipient(), lease("audit"));
        AuditActor::start_in_arbiter(&Arbiter::new().handle(), move |_| {
            AuditActor::new(reader, keep, desk, heads, lease)
        })
    };
    let desk = RulesDesk::default();
    let around = Around { store: &store, audit: &audit, query: &query, rules: &desk, heads };
    let Meshed { peers, discovery, desk: mesh, groups, sharing, summary } =
        wire_mesh(neighbourhood, &settings, around, kept, lease);
    let rules = {
        let (settings, redact) = (settings.rules.clone(), settings.redact.clone());
        let (desk, lease) = (desk.clone(), lease("rules"));
        RulesActor::start_in_arbiter(&Arbiter::new().handle(), move |_| {
            RulesActor::new(settings, redact, &desk, lease)
        })
    };
    let ignore = Arc::new(settings.record.clone());
    let workers: Vec<Addr<Worker>> = (0..available_parallelism().map_or(1, usize::from).min(WORKERS_MAX))
        .map(|_| {
            let (ignore, desk, lease) = (Arc::clone(&ignore), desk.clone(), lease("worker"));
            Worker::start_in_arbiter(&Arbiter::new().handle(), move |_| Worker::new(ignore, &desk, lease))
        })
        .collect();
    let understand = workers.iter().map(|worker| worker.clone().recipient()).collect();
    let ingest = Ingest::new(understand, store.clone().recipient(), lease("ingest")).start();

    let intake = Intake {
        ingest: ingest.clone().recipient(),
        budget: Budget::of(limits.intake_bytes()),
        counters: Arc::clone(&counters),
    };

    let files = Arbiter::new();
    let spool = {
        let spools = places.spools().into_iter().map(ToOwned::to_owned).collect();
        let (intake, lease) = (intake.clone(), lease("spool"));
        Spool::start_in_arbiter(&files.handle(), move |_| Spool::new(spools, intake, lease))
    };
    let follow = {
        let histories = settings.record.follow.clone();
        let (intake, lease) = (intake.clone(), lease("follow"));
        Follow::start_in_arbiter(&files.handle(), move |_| Follow::new(histories, intake, lease))
    };
    let (sessions_max, cut) = limits.sessions(settings.socket.sessions_max);
    if let Some(cut) = cut {
        say!(Class::LimitCut, "{cut}");
    }
    let socket = SocketSettings { sessions_max, ..settings.socket };
    let sessions_max = Arc::new(AtomicU32::new(sessions_max));
    let (counted, rules_desk) = (Arc::clone(&counters), desk.clone());
    let post = Post {
        uid: ground::uid(),
        counters: Arc::clone(&counters),
        intake,
        pages: query.clone().recipient(),
        tallies: query.clone().recipient(),
        select: query.clone().recipient(),
        delete: store.clone().recipient(),
        compact: store.clone().recipient(),
        revise: store.clone().recipient(),
        revising: Arc::new(Semaphore::new(1)),
        reader: reader.clone(),
        compare: store.clone().recipient(),
        status: StatusDesk {
            identity: identity(&places),
            counters,
            sessions_max: Arc::clone(&sessions_max),
            store: store.clone().recipient(),
            query: query.clone().recipient(),
            spool: spool.clone().recipient(),
            rules: desk.clone(),
            peers: peers.clone().recipient(),
            audit: audit.recipient(),
        },
        rules: desk,
        mesh,
        groups,
        sharing,
        noted: peers.clone().recipient(),
        log: log.desk(),
    };
    let changes = post.mesh.changes.clone();
    let socket = Socket::new(listener, post, socket, lease("socket")).start();
    let has_room = move || limits.has_room_for_history(resident_bytes());
    load(reader, query.clone(), root.clone().recipient(), herald.clone(), has_room);
    say!(Class::Accepting, socket = %places.socket.display(), data = %places.data.display(), "accepting");
    let service = (herald.is_heard() || is_handed).then(|| {
        let sources = Sources {
            query: query.clone().recipient(),
            peers: peers.clone().recipient(),
            spool: spool.clone().recipient(),
            store: store.clone().recipient(),
            shells: shells.clone().recipient(),
            root: ctx.address().recipient(),
            counters: counted,
            changes,
        };
        let mut members = vec![
            Member::new("root", ctx.address().recipient()),
            Member::new("socket", socket.clone().recipient()),
            Member::new("ingest", ingest.clone().recipient()),
            Member::new("spool", spool.clone().recipient()),
            Member {
                name: "store",
                ask: store.clone().recipient(),
                steps: Some(Arc::new(move || steps.count())),
            },
            Member::new("query", query.clone().recipient()),
            Member::new("peers", peers.clone().recipient()),
        ];
        let reading = rules_desk.clone();
        let reading = until_rules(move || reading.newest().is_some(), Instant::now());
        members.extend(workers.iter().map(|worker| Member {
            name: "worker",
            ask: worker.clone().recipient(),
            steps: Some(Arc::clone(&reading)),
        }));
        let given = Given { herald: herald.clone(), allowed: allowed_by_environment(), is_handed };
        let (settled, lease) = (service::Settle::of(&settings), lease("service"));
        ServiceActor::start_in_arbiter(&Arbiter::new().handle(), move |_| {
            ServiceActor::new(given, members, sources, settled, lease)
        })
    });
    let household = Household {
        socket,
        spool,
        follow,
        ingest,
        rules,
        workers,
        store,
        query,
        shells,
        peers,
        discovery,
        summary,
        service,
    };
    Root::new(household, places.config, settings, (sessions_max, limits), log, herald, ending)
}

/// Makes the store and the watch over shells, which need each other.
fn wire_store(
    root: &Addr<Root>,
    (store, views, auditor): (Store, Views, Auditor),
    (settings, watched_max): (&Settings, usize),
    query: &Addr<QueryActor>,
    counters: &Arc<Counters>,
) -> (Addr<Shells>, Addr<StoreActor>) {
    let gone = || -> Recipient<Gone> { root.clone().recipient() };
    let mut writer = None;
    let shells = Shells::create(|ctx| {
        let listeners = Listeners {
            query: query.clone().recipient(),
            whole: query.clone().recipient(),
            shells: ctx.address().recipient(),
            root: root.clone().recipient(),
        };
        let (settings, counters, lease) = (settings.store, Arc::clone(counters), Lease::new("store", gone()));
        let address = StoreActor::start_in_arbiter(&Arbiter::new().handle(), move |_| {
            StoreActor::new((store, views, auditor), settings, listeners, counters, lease)
        });
        writer = Some(address.clone());
        Shells::new(address.recipient(), watched_max, Lease::new("shells", gone()))
    });
    (shells, writer.expect("the closure above has run"))
}

/// Makes everything of the mesh, on an arbiter of its own: handshakes take some hundred microseconds each.
fn wire_mesh(
    neighbourhood: Neighbourhood,
    settings: &Settings,
    Around { store, audit, query, rules, heads }: Around<'_>,
    (kept, summaries): (groups::Kept, summary::Kept),
    lease: impl Fn(&'static str) -> Lease,
) -> Meshed {
    let Neighbourhood { own, roster, successions, identity_path, report_files, known } = neighbourhood;
    let arbiter = Arbiter::new();
    let (keeper, policy) = policy_desk(in_force(&settings.sharing, &summaries.policy.0));
    let groups_desk = GroupsDesk::default();
    let groups = {
        let neighbours = groups::Neighbours {
            keep: store.clone().recipient(),
            tabulate: query.clone().recipient(),
            rules: rules.clone(),
            roster: roster.clone(),
            policy: policy.clone(),
            groups: groups_desk.clone(),
            report_files,
        };
        let (own, lease) = (own.clone(), lease("groups"));
        GroupsActor::start_in_arbiter(&background::arbiter().handle(), move |_| {
            GroupsActor::new(neighbours, kept, own, lease)
        })
    };
    let questions = {
        let sources = questions::Sources {
            groups: groups_desk,
            fetched: groups.clone().recipient(),
            roster: roster.clone(),
            policy,
            keep: store.clone().recipient(),
            store: store.clone().recipient(),
            audit: audit.clone().recipient(),
        };
        let (own, lease) = (own.as_ref().ok().map(|own| own.node_id()), lease("questions"));
        QuestionsActor::start_in_arbiter(&arbiter.handle(), move |_| QuestionsActor::new(sources, own, lease))
    };
    let summary = {
        let sources = summary::Sources {
            roster: roster.clone(),
            keeper,
            keep: store.clone().recipient(),
            rolled_up: store.clone().recipient(),
            touched: store.clone().recipient(),
        };
        let (configured, lease) = (settings.sharing.clone(), lease("summary"));
        SummaryActor::start_in_arbiter(&background::arbiter().handle(), move |_| {
            SummaryActor::new(sources, configured, summaries, lease)
        })
    };
    let discovery = {
        let (settings, roster) = (settings.discovery.clone(), roster.clone());
        DiscoveryActor::start_in_arbiter(&arbiter.handle(), move |_| {
            DiscoveryActor::new(settings, ground::host(), roster)
        })
    };
    let mesh = Mesh {
        run: Nonce(Randomness::default().draw()),
        identity_path,
        known,
        roster: roster.clone(),
        keep: store.clone().recipient(),
        signs: store.clone().recipient(),
        new_log: store.clone().recipient(),
        prove: audit.clone().recipient(),
        witness: audit.clone().recipient(),
        seen: audit.clone().recipient(),
        heads,
        listens: discovery.clone().recipient(),
        talks: Talks {
            groups: groups.clone().recipient(),
            summaries: summary.clone().recipient(),
            questions: questions.clone().recipient(),
            linked: [groups.clone().recipient(), summary.clone().recipient(), questions.clone().recipient()],
            own: [groups.clone().recipient(), questions.clone().recipient(), summary.clone().recipient()],
        },
    };
    let (changes, watching) = watch::channel(0);
    let peers = {
        let (settings, lease) = (settings.mesh.clone(), lease("peers"));
        PeersActor::start_in_arbiter(&arbiter.handle(), move |_| {
            PeersActor::new(mesh, settings, own, (successions, changes), lease)
        })
    };
    let introduced = Introduced(Introducer {
        tell: peers.clone().recipient(),
        noted: peers.clone().recipient(),
        report: peers.clone().recipient(),
        table: peers.clone().recipient(),
        add: peers.clone().recipient(),
    });
    // Notes of the start, before anybody else has sent anything.
    groups.do_send(introduced.clone());
    questions.do_send(introduced.clone());
    summary.do_send(introduced);
    let sharing = SharingDesk {
        summaries: summary.clone().recipient(),
        policy: summary.clone().recipient(),
        change: summary.clone().recipient(),
        preview: summary.clone().recipient(),
        explain: summary.clone().recipient(),
        unusual: query.clone().recipient(),
    };
    let trusted = roster.clone();
    let pairing = {
        let (own, add) = (peers.clone().recipient(), peers.clone().recipient());
        PairingActor::start_in_arbiter(&arbiter.handle(), move |_| PairingActor::new(own, add, roster))
    };
    let (woken, changing) = (peers.clone().recipient(), watching.clone());
    Watch::start_in_arbiter(&arbiter.handle(), move |_| Watch::new(woken, trusted, changing));
    let desk = MeshDesk {
        table: peers.clone().recipient(),
        add: peers.clone().recipient(),
        alter: peers.clone().recipient(),
        show: peers.clone().recipient(),
        find: peers.clone().recipient(),
        who: peers.clone().recipient(),
        backup: peers.clone().recipient(),
        restore: peers.clone().recipient(),
        rotate: peers.clone().recipient(),
        seen: discovery.clone().recipient(),
        pair: pairing.recipient(),
        audit: audit.clone(),
        sign: store.clone().recipient(),
        changes: watching,
    };
    let groups = GroupDesk { groups, ask: questions.clone().recipient(), health: questions.recipient() };
    Meshed { peers, discovery, desk, groups, sharing, summary }
}

/// What the mesh stands on.
struct Around<'a> {
    store: &'a Addr<StoreActor>,
    audit: &'a Addr<AuditActor>,
    query: &'a Addr<QueryActor>,
    rules: &'a RulesDesk,
    heads: watch::Receiver<Option<Signed>>,
}

/// The mesh, as the others need it.
struct Meshed {
    peers: Addr<PeersActor>,
    discovery: Addr<DiscoveryActor>,
    desk: MeshDesk,
    groups: GroupDesk,
    sharing: SharingDesk,
    summary: Addr<SummaryActor>,
}

fn identity(places: &Places) -> Identity {
    Identity {
        started_at: clock::now(),
        user: ground::account(),
        host: ground::host(),
        data: places.data.clone(),
        socket: places.socket.clone(),
    }
}
