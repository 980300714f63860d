use super::*;

/// A home with nothing unusual, and karod where packages put it.
fn usual() -> Filling {
    let variables = [
        ("KARO_CONFIG", "/home/ann/.config/karo/config.toml"),
        ("KARO_DATA_DIR", "/home/ann/.local/share/karo"),
        ("KARO_SOCKET", "/run/user/7/karo/karod.sock"),
        ("XDG_STATE_HOME", "/home/ann/.local/state"),
    ];
    Filling {
        karod: PACKAGED_KAROD.into(),
        home: "/home/ann".into(),
        runtime: "/run/user/7".into(),
        variables: variables.into_iter().map(|(name, path)| (name, path.into())).collect(),
        directories: vec![
            ("%h/.config/karo", "/home/ann/.config/karo".into()),
            ("%h/.local/share/karo", "/home/ann/.local/share/karo".into()),
            ("%h/.local/state/karo", "/home/ann/.local/state/karo".into()),
            ("%t/karo", "/run/user/7/karo".into()),
        ],
        written: vec!["/home/ann/.local/share/karo".into(), "/run/user/7/karo".into()],
        log: "/home/ann/.local/state/karo/karod.log".into(),
    }
}

const TEMPLATE: &str = "\
[Service]
ExecStartPre=-+:/bin/mkdir -p -m 0700 %h/.local/share/karo %t/karo
ExecStart=/usr/bin/karod
Environment=KARO_CONFIG=%h/.config/karo/config.toml
Environment=KARO_DATA_DIR=%h/.local/share/karo
Environment=KARO_SOCKET=%t/karo/karod.sock
Environment=XDG_STATE_HOME=%h/.local/state
BindPaths=%h/.local/share/karo
BindPaths=%t/karo
BindReadOnlyPaths=/usr/bin/karod
";

#[test]
fn usual_places_leave_the_text_of_the_package() {
    assert_eq!(usual().unit(TEMPLATE), TEMPLATE);
    assert_eq!(usual().unit(SERVICE), SERVICE);
    assert_eq!(usual().unit(SOCKET), SOCKET);
}

#[test]
fn other_places_are_filled_in_and_opened() {
    let mut filling = usual();
    filling.karod = "/opt/5% of $all/karod".into();
    filling.variables.insert("KARO_DATA_DIR", "/srv/my data".into());
    filling.variables.insert("KARO_SPOOL_DIR", "/srv/spool".into());
    filling.directories[1].1 = "/srv/my data".into();
    filling.written = vec!["/srv/my data".into(), "/srv/spool".into(), "/run/user/7/karo/spool".into()];
    let expected = "\
[Service]
ExecStartPre=-+:/bin/mkdir -p -m 0700 \"/srv/my data\" %t/karo
ExecStart=\"/opt/5%% of $$all/karod\"
Environment=KARO_CONFIG=%h/.config/karo/config.toml
Environment=\"KARO_DATA_DIR=/srv/my data\"
Environment=KARO_SOCKET=%t/karo/karod.sock
Environment=XDG_STATE_HOME=%h/.local/state
Environment=KARO_SPOOL_DIR=/srv/spool
BindPaths=\"/srv/my data\"
BindPaths=%t/karo
BindPaths=/srv/spool
BindReadOnlyPaths=\"/opt/5%% of $all/karod\"
";
    assert_eq!(filling.unit(TEMPLATE), expected);
}

#[test]
fn a_socket_elsewhere_is_listened_at() {
    let mut filling = usual();
    filling.variables.insert("KARO_SOCKET", "/run/user/7/other.sock".into());
    let text = filling.unit("[Socket]\nListenStream=%t/karo/karod.sock\nSocketMode=0600\n");
    assert_eq!(text, "[Socket]\nListenStream=/run/user/7/other.sock\nSocketMode=0600\n");
}

#[test]
fn only_karod_may_be_run_wherever_it_is() {
    let filling = Filling { karod: "/home/ann/.cargo/bin/karod".into(), ..usual() };
    let text = filling.unit("ExecPaths=/usr/lib /usr/bin/karod\nExecStart=/usr/bin/karod --config x\n");
    assert_eq!(
        text,
        "ExecPaths=/usr/lib /home/ann/.cargo/bin/karod\nExecStart=/home/ann/.cargo/bin/karod --config x\n"
    );
}

#[test]
fn the_shipped_texts_have_the_lines_that_are_filled_in() {
    let starts = |text: &str, line: &str| text.lines().filter(|have| have.starts_with(line)).count();
    for text in [SERVICE, SYSTEM_SERVICE] {
        assert_eq!(starts(text, "ExecStart=/usr/bin/karod"), 1, "{text}");
    }
    for name in ["KARO_CONFIG", "KARO_DATA_DIR", "KARO_SOCKET", "XDG_STATE_HOME"] {
        assert_eq!(starts(SERVICE, &format!("Environment={name}=")), 1, "{name}");
    }
    for text in [SOCKET, SYSTEM_SOCKET] {
        assert_eq!(starts(text, "ListenStream="), 1, "{text}");
    }
}

#[test]
fn the_agent_of_launchd_is_filled_in() {
    let filling = Filling { karod: "/Users/ann/a&b/karod".into(), ..usual() };
    let text = filling.agent(AGENT);
    for expected in ["/Users/ann/a&amp;b/karod", "/home/ann/.local/share/karo", "/run/user/7/karo/karod.sock"]
    {
        assert!(text.contains(&format!("<string>{expected}</string>")), "{expected} is not in\n{text}");
    }
    assert!(!text.contains(PACKAGED_KAROD), "{text}");
    assert_eq!(text.matches("<key>").count(), AGENT.matches("<key>").count());
}

#[test]
fn differing_lines_are_named() {
    assert_eq!(differing("a\nb\n", "a\nc\n"), ["-2   b", "+2   c"]);
    assert_eq!(differing("a\nb\n", "b\na\n"), ["the same lines, in another order or number"]);
    let many: String = (0..20).map(|n| format!("{n}\n")).collect();
    let lines = differing(&many, "x\n");
    assert_eq!((lines.len(), lines.last().map(String::as_str)), (13, Some("and 9 more")));
}
