//! Tests of the whole file.

use super::*;

#[test]
fn defaults_are_accepted() {
    let settings = Settings::default();
    assert_eq!(settings.store.reserve_bytes, 64 * MIB);
    assert_eq!((settings.store.retention, settings.store.retention_bytes), (None, None));
    assert_eq!(settings.socket, SocketSettings { sessions_max: 256, idle: Duration::from_secs(60) });
    assert_eq!(settings.log, LogSettings { level: LogLevel::Info, target: LogTarget::Auto });
}

#[test]
fn refusals_name_key_value_and_range() {
    type Change = fn(&mut Config);
    let refusal = |change: Change| {
        let mut config = Config::default();
        change(&mut config);
        config.check(None).expect_err("the value is out of its range").to_string()
    };
    let cases: [(Change, &str); 11] = [
        (|c| c.store.reserve_mib = 0, "store.reserve_mib is 0, accepted is 1 to 1048576 MiB"),
        (
            |c| c.store.retention_days = -1,
            "store.retention_days is -1, accepted is 0 to 36500 days, 0 for never",
        ),
        (
            |c| c.store.retention_mib = 3,
            "store.retention_mib is 3, accepted is 16 to 1048576 MiB, or 0 for no limit",
        ),
        (|c| c.socket.sessions_max = 5000, "socket.sessions_max is 5000, accepted is 8 to 4096 sessions"),
        (
            |c| c.service.idle_exit_minutes = -5,
            "service.idle_exit_minutes is -5, accepted is 0 to 10080 minutes, 0 for never",
        ),
        (
            |c| c.log.level = "loud".to_owned(),
            "log.level is loud, accepted is one of error, warn, info, debug, trace",
        ),
        (
            |c| c.record.ignore = vec![String::new()],
            "record.ignore[0] is \"\", accepted is a pattern that is not empty",
        ),
        (
            |c| c.redact.extra = vec!["a".to_owned(), "(b".to_owned()],
            "redact.extra[1] is \"(b\", accepted is a `)` for each `(` (at byte 3)",
        ),
        (
            |c| c.record.ignore_dirs = vec!["tmp".to_owned()],
            "record.ignore_dirs[0] is \"tmp\", accepted is an absolute path, or one from ~/",
        ),
        (
            |c| c.rules.dirs = vec!["sigma".to_owned()],
            "rules.dirs[0] is \"sigma\", accepted is an absolute path, or one from ~/",
        ),
        (
            |c| c.record.follow = vec![FollowEntry { shell: "zsh".to_owned(), path: "/h".to_owned() }],
            "record.follow[0].shell is zsh, accepted is mksh or ksh; bash, zsh and fish have hooks",
        ),
    ];
    for (change, expected) in cases {
        assert_eq!(refusal(change), expected);
    }
}

#[test]
fn rules_of_the_user_keep_commands_out() {
    let mut config = Config::default();
    config.record.ignore = vec!["pass *".to_owned()];
    config.record.ignore_dirs = vec!["~/private/".to_owned()];
    config.record.follow = vec![FollowEntry { shell: "mksh".to_owned(), path: "~/.mksh_history".to_owned() }];
    let record = config.check(Some(Path::new("/h"))).expect("all of it is right").record;
    assert!(record.is_ignored(b"pass show mail", b"/"));
    assert!(record.is_ignored(b"ls", b"/h/private") && record.is_ignored(b"ls", b"/h/private/a/b"));
    assert!(!record.is_ignored(b"ls pass ", b"/h/privateer"));
    assert_eq!(record.follow, [Follow { shell: ShellKind::Mksh, path: "/h/.mksh_history".into() }]);
}

#[test]
fn the_default_file_documents_every_key() {
    let text = default_toml();
    for line in [
        "[record]",
        "#ignore = []",
        "#dirs = []",
        "#reserve_mib = 64",
        "#sessions_max = 256",
        "#level = \"info\"",
        "[service]",
        "#idle_exit_minutes = 0",
        "[mesh]",
        "#listen = \"\"",
        "#[[mesh.peers]]",
        "#trust = \"member\"",
        "[discovery]",
        "#mdns = false",
        "[sharing]",
        "#groups = false",
        "#[[sharing.peers]]",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    }
}
