use proptest::prelude::*;

use super::*;

#[test]
fn bash_files_are_read() {
    check(HistoryFormat::Bash, b"ls\ncd /tmp\n\nls\n", &[(None, b"ls"), (None, b"cd /tmp"), (None, b"ls")]);
    check(
        HistoryFormat::Bash,
        b"#1700000000\nls\n#1700000001\nif true\nthen x\nfi\n#1700000002\ncat <<E\n\n#1\nE\n",
        &[
            (Some(1_700_000_000), b"ls"),
            (Some(1_700_000_001), b"if true\nthen x\nfi"),
            (Some(1_700_000_002), b"cat <<E\n\n#1\nE"),
        ],
    );
    check(
        HistoryFormat::Bash,
        b"old\n# a note\n#12 not a time\n#1700000000\nnew\n#1700000005\n#1700000006\nlast",
        &[
            (None, b"old"),
            (None, b"# a note"),
            (None, b"#12 not a time"),
            (Some(1_700_000_000), b"new"),
            (Some(1_700_000_006), b"last"),
        ],
    );
    check(HistoryFormat::Bash, b"", &[]);
    check(HistoryFormat::Bash, b"\xff\xfe\n", &[(None, b"\xff\xfe")]);
}

#[test]
fn zsh_files_are_read() {
    check(HistoryFormat::Zsh, b"ls\ncd /\n", &[(None, b"ls"), (None, b"cd /")]);
    check(
        HistoryFormat::Zsh,
        b": 1700000000:0;ls\n: 1700000001:3;if true\\\nthen x\\\nfi\n:1700000002:0;a;b:c\n",
        &[
            (Some(1_700_000_000), b"ls"),
            (Some(1_700_000_001), b"if true\nthen x\nfi"),
            (Some(1_700_000_002), b"a;b:c"),
        ],
    );
    // As zsh 5.9 wrote them: a text that ends in a backslash is guarded by a space, also behind spaces.
    check(
        HistoryFormat::Zsh,
        b": 1:0;echo 'a\\b' \\\\\ncont\n: 1:0;echo tail\\\\  \n: 2:0;echo x\\\\ \n: 3:0;echo y \n",
        &[
            (Some(1), b"echo 'a\\b' \\\ncont"),
            (Some(1), b"echo tail\\\\ "),
            (Some(2), b"echo x\\\\"),
            (Some(3), b"echo y "),
        ],
    );
    // Of "aà" the second byte of the second letter, 0xa0, is written as 0x83 0x80.
    check(HistoryFormat::Zsh, b": 1:0;echo a\xc3\x83\x80\n", &[(Some(1), "echo aà".as_bytes())]);
    check(HistoryFormat::Zsh, b"cut off\\", &[(None, b"cut off")]);
    check(HistoryFormat::Zsh, b"lone meta \x83", &[(None, b"lone meta \x83")]);
    check(HistoryFormat::Zsh, b": not:a time;x\n", &[(None, b": not:a time;x")]);
    let elapsed = parse(HistoryFormat::Zsh, b": 1:3;make\n: 1:0;make\n");
    assert_eq!(
        elapsed.iter().map(|entry| entry.duration).collect::<Vec<_>>(),
        [Some(Micros(3_000_000)), None]
    );
}

#[test]
fn fish_files_are_read() {
    // As fish 3.6 wrote them.
    check(
        HistoryFormat::Fish,
        "- cmd: echo one\n  when: 1795172049\n- cmd: echo '\u{fc}ml\\\\n'\n  when: 1795172049\n  paths:\n    - /tmp\n    - when: 7\n- cmd: echo \"line1\\nline2\"\n  when: 1795172050\n- cmd: echo 'a\\\\\\\\b'\n".as_bytes(),
        &[
            (Some(1_795_172_049), b"echo one"),
            (Some(1_795_172_049), "echo '\u{fc}ml\\n'".as_bytes()),
            (Some(1_795_172_050), b"echo \"line1\nline2\""),
            (None, b"echo 'a\\\\b'"),
        ],
    );
    check(HistoryFormat::Fish, b"- cmd: a\\tb\\\n  when: soon\n", &[(None, b"a\\tb\\")]);
    check(HistoryFormat::Fish, b"  when: 5\nnoise\n", &[]);
}

#[test]
fn korn_shell_files_are_read() {
    // As mksh R59 wrote it.
    check(
        HistoryFormat::Mksh,
        b"\xab\xcd\xff\0\0\0\x01echo one\0\xff\0\0\0\x02if true\nthen x\nfi\0\xff\0\0\0\x03echo \xc3\xbc\0",
        &[(None, b"echo one"), (None, b"if true\nthen x\nfi"), (None, b"echo \xc3\xbc")],
    );
    check(HistoryFormat::Mksh, b"\xab\xcd\xff\0\0", &[]);
    check(HistoryFormat::Mksh, b"ls\npwd\n", &[(None, b"ls"), (None, b"pwd")]);
    // As ksh 93u+m wrote it, with a number of the line and an entry taken back.
    check(
        HistoryFormat::Ksh,
        b"\x81\x01echo one\n\0if true\nfi\n\0\0\x82\0\0\0\x05\0wrong\n\0\x81\0echo \xc3\xbc\n\0",
        &[(None, b"echo one"), (None, b"if true\nfi"), (None, b"echo \xc3\xbc")],
    );
    check(HistoryFormat::Ksh, b"ls\n", &[(None, b"ls")]);
}

#[test]
fn files_are_told_by_name_and_beginning() {
    let cases: [(&str, &[u8], HistoryFormat); 12] = [
        ("x", b"{\"command\":\"ls\"}\n", HistoryFormat::Json),
        ("x.jsonl", b" {}", HistoryFormat::Json),
        ("x", b"#1700000000\nls\n", HistoryFormat::Bash),
        (".bash_history", b"ls\n", HistoryFormat::Bash),
        ("x", b": 1700000000:0;ls\n", HistoryFormat::Zsh),
        (".zsh_history", b"ls\n", HistoryFormat::Zsh),
        ("x", b"- cmd: ls\n", HistoryFormat::Fish),
        ("x", b"\xab\xcd\xff", HistoryFormat::Mksh),
        (".mksh_history", b"ls", HistoryFormat::Mksh),
        ("x", b"\x81\x01ls", HistoryFormat::Ksh),
        (".sh_history", b"ls", HistoryFormat::Ksh),
        ("notes.txt", b"ls\n", HistoryFormat::Plain),
    ];
    for (name, bytes, expected) in cases {
        assert_eq!(guess(name, bytes), expected, "{name}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        for format in [HistoryFormat::Bash, HistoryFormat::Zsh, HistoryFormat::Fish, HistoryFormat::Mksh, HistoryFormat::Ksh] {
            parse(format, &bytes);
            parse(format, &[MKSH_MAGIC, &bytes].concat());
            parse(format, &[KSH_MAGIC, &bytes].concat());
        }
    }
}

fn check(format: HistoryFormat, bytes: &[u8], expected: &[(Option<i64>, &[u8])]) {
    let found = parse(format, bytes);
    let found: Vec<_> =
        found.iter().map(|e| (e.started, String::from_utf8_lossy(&e.command).into_owned())).collect();
    let expected: Vec<_> =
        expected.iter().map(|(at, text)| (*at, String::from_utf8_lossy(text).into_owned())).collect();
    assert_eq!(found, expected);
}
