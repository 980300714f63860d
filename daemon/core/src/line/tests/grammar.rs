use super::*;

#[test]
fn operators_stand_between_commands() {
    check("", "");
    check("   ", "");
    check("# only a remark", "");
    check("ls", "ls");
    check("ls -la /tmp; pwd", "ls -la /tmp ; pwd");
    check("ls # a; b", "ls");
    check("ls a#b", "ls a#b");
    check("a && b || c", "a ; b ; c");
    check("a\nb\n\nc", "a ; b ; c");
    check("a;b;", "a ; b");
    check("ls \\\n -l", "ls -l");
    check("l\\\ns", "ls");
    check("a &&\n b", "a ; b");
    check("a\r\nb\r\n", "a ; b");
    check("! grep -q x y", "grep -q x y");
}

#[test]
fn pipes_and_background_are_contexts() {
    check("a | b", ">:a ; <:b");
    check("a | b | c", ">:a ; <>:b ; <:c");
    check("a |& b", ">:a ; <:b");
    check("a |\n b", ">:a ; <:b");
    check("a | # why\n b", ">:a ; <:b");
    check("a &", "&:a");
    check("a & b", "&:a ; b");
    check("a; b & c", "a ; &:b ; c");
    check("a && b &", "&:a ; &:b");
    check("a | b &", ">&:a ; <&:b");
    check("a &| ", "&:a");
    check("a &!", "&:a");
    check("a &| b", ">:a ; <:b");
    check("(a; b) | c", ">:a ; >:b ; <:c");
    check("{ a; b; } | c", ">:a ; >:b ; <:c");
    check("a | { b; c; }", ">:a ; <:b ; <:c");
    check("a | while read x; do b; done | c", ">:a ; <>:read x ; <>:b ; <:c");
    check("(a; b) &", "&:a ; &:b");
    check("a | b && c", ">:a ; <:b ; c");
    check("a $(b) | c", ">:a $(b) ; $:b ; <:c");
    check("coproc a b", "&:a b");
    check("coproc NAME { a; }; b", "&:a ; b");
}

#[test]
fn quotes_hide_what_they_hold() {
    check("echo 'a; b' \"c | d\" e\\;f", "echo a; b c | d e;f");
    check("'/usr/bin/l's", "/usr/bin/ls");
    check("\\ls -l", "ls -l");
    check("l''s", "ls");
    check("echo \"a \\\"b\\\" \\$c \\d\"", "echo a \"b\" $c \\d");
    check("echo $'it\\'s; \\x41\\t\\u00e9\\101'", "echo it's; A\té\u{41}");
    check("echo $\"a $(b)\"", "echo a $(b) ; $:b");
    check("echo \"\" ''", "echo  ");
    check("echo 'a\nb'", "echo a\nb");
    check("echo \"a\\\nb\"", "echo ab");
    check("echo a\\ b", "echo a b");
    check("echo '#' \"#\" \\#", "echo # # #");
    check("'if' x; \"for\" y", "if x ; for y");
}

#[test]
fn substitutions_run_commands() {
    check("echo $(date)", "echo $(date) ; $:date");
    check("echo \"$(date; \"x y\")\"", "echo $(date; \"x y\") ; $:date ; $:x y");
    check("echo `a; b`", "echo `a; b` ; $:a ; $:b");
    check("echo `a \\`b\\``", "echo `a \\`b\\`` ; $:a `b` ; $:b");
    check("echo \"`a \\\"b c\\\"`\"", "echo `a \\\"b c\\\"` ; $:a b c");
    check("$(a) b", "$(a) b ; $:a");
    check("A=$(a) b", "$:a ; b");
    check("A=$(a)", "$:a");
    check("echo $(a | b)", "echo $(a | b) ; >$:a ; <$:b");
    check("echo $(a $(b $(c)))", "echo $(a $(b $(c))) ; $:a $(b $(c)) ; $:b $(c) ; $:c");
    check("diff <(sort a) <(sort b)", "diff <(sort a) <(sort b) ; $:sort a ; $:sort b");
    check("a > >(tee log)", "a ; $:tee log");
    check("a --file=<(b)", "a --file=<(b) ; $:b");
    check("vim =(ls)", "vim =(ls) ; $:ls");
    check("echo ${x:-$(a)} ${y:-\"$(b)\"}", "echo ${x:-$(a)} ${y:-\"$(b)\"} ; $:a ; $:b");
    check("echo ${x%%'}'} ${#x} ${x//\\}/y}", "echo ${x%%'}'} ${#x} ${x//\\}/y}");
    check("echo \"${x:-it's}\"", "echo ${x:-it's}");
    check("echo ${ a; b; } c", "echo ${ a; b; } c ; $:a ; $:b");
    check("echo $((1 + 2)) $((a << 2))", "echo $((1 + 2)) $((a << 2))");
    check("echo $(( $(a) + `b` ))", "echo $(( $(a) + `b` )) ; $:a ; $:b");
    check("echo $((a); b)", "echo $((a); b) ; $:a ; $:b");
    check("echo $((a) | b)", "echo $((a) | b) ; >$:a ; <$:b");
    check("echo $[1 + 2] $$ $! $? $1 $@", "echo $[1 + 2] $$ $! $? $1 $@");
    check("x=$(case a in a) b;; (c) d;; esac) e", "$:b ; $:d ; e");
    check("echo $(a # )\n)", "echo $(a # )\n) ; $:a");
    check("echo $(cat <<E\n)\nE\n)", "echo $(cat <<E\n)\nE\n) ; $H:cat");
    check("(a $(b) &); c", "&:a $(b) ; $&:b ; c");
}

#[test]
fn redirections_are_no_words() {
    check("ls >out 2>&1 </dev/null", "ls");
    check("2>err >>log cmd x &>all", "cmd x");
    check("cmd 3<>f 4>&- {fd}>g >|h &>>i <&3 >&2", "cmd");
    check("echo 2 >a", "echo 2");
    check("cmd >&log", "cmd");
    check("cat <<<word", "H:cat");
    check("> file", "");
    check("a >! b c", "a c");
    let line = parse(b"{ a; b | c; } >out 2>&1");
    let targets = |run: &Run| run.redirections.iter().map(|to| to.target.text().to_vec()).collect::<Vec<_>>();
    assert!(line.runs.iter().all(|run| targets(run) == [b"out".to_vec(), b"1".to_vec()]), "{line:?}");
    let kinds: Vec<_> = parse(b"a <i >o >>p <>q 2>&1 >&r <<<s").runs[0]
        .redirections
        .iter()
        .map(|redirection| (redirection.kind, redirection.descriptor))
        .collect();
    assert_eq!(
        kinds,
        [
            (RedirectionKind::Read, None),
            (RedirectionKind::Write, None),
            (RedirectionKind::Append, None),
            (RedirectionKind::ReadWrite, None),
            (RedirectionKind::Duplicate, Some(2)),
            (RedirectionKind::Write, None),
            (RedirectionKind::HereString, None),
        ]
    );
}

#[test]
fn here_documents_are_no_commands() {
    check("cat <<EOF; pwd\nrm -rf /\nEOF\nls", "H:cat ; pwd ; ls");
    check("cat <<-'E F'\n\trm\n\tE F\nls", "H:cat ; ls");
    check("cat <<A <<B\na\nA\nb\nB\nls", "H:cat ; ls");
    check("cat <<A | grep x\nb\nA\nls", ">H:cat ; <:grep x ; ls");
    check("cat <<EOF\nnever closed\nrm", "H:cat");
    check("cat <<EOF", "H:cat");
    check("cat <<EOF\n$(a) `b` it's \\$(c)\nEOF", "H:cat ; $H:a ; $H:b");
    check("cat <<'EOF'\n$(a)\nEOF", "H:cat");
    check("cat <<EOF\nan open ` and $( stay text\nEOF\nls", "H:cat ; ls");
    check("while read x; do a; done <<E\nb\nE", "H:read x ; H:a");
    check("cat <<\\E >out\n$(a)\nE", "H:cat");
    check("a <<E && b\nx\nE\nc", "H:a ; b ; c");
    check("cat <<E |\nx\nE\nsort", ">H:cat ; <:sort");
    let line = parse(b"cat <<-E\n\ta\n\tb\nE\n");
    assert_eq!(line.runs[0].redirections[0].target.text(), b"a\nb\n");
}

#[test]
fn compound_commands_of_bash() {
    check("for f in a b; do rm $f; done", "rm $f");
    check("for f in $(ls); do rm $f; done", "$:ls ; rm $f");
    check("for f; do a; done", "a");
    check("for f do a; done", "a");
    check("for ((i = 0; i < $(n); i++)); do a; done", "$:n ; a");
    check("for ((;;)) { a; }", "a");
    check("if ! grep -q x y; then echo z; elif b; then c; else d; fi", "grep -q x y ; echo z ; b ; c ; d");
    check("if a; then b; fi | c", ">:a ; >:b ; <:c");
    check("while a; do b; done", "a ; b");
    check("until a\ndo\nb\ndone", "a ; b");
    check("while :; do a; done &", "&:: ; &:a");
    check("select x in a b; do c; done", "c");
    check("case $x in a|b) c;; (d) e;; *) f; g;; esac; h", "c ; e ; f ; g ; h");
    check("case $(a) in b) c ;& d) e ;;& f) g;; esac", "$:a ; c ; e ; g");
    check("case x in\n a)\n  b\n  ;;\nesac", "b");
    check("case x in esac", "");
    check("case \"$1\" in 'a b') c;; \"d)\") e;; esac", "c ; e");
    check("f() { a; b; }", "f:a ; f:b");
    check("f () { a | b; }; c", ">f:a ; <f:b ; c");
    check("f()\n{\na\n}\nb", "f:a ; b");
    check("function f { a; }; f", "f:a ; f");
    check("function f() { a; }", "f:a");
    check("function f\n{\na\n}", "f:a");
    check("f() ( a )", "f:a");
    check("f() if a; then b; fi", "f:a ; f:b");
    check("f() { a $(b); } >out", "f:a $(b) ; $f:b");
    check(":(){ :|:& };:", ">&f:: ; <&f:: ; :");
    check("[[ -f x && $y ]] && ls", "ls");
    check("[[ $a =~ ^(b|c d)+$ ]] || ls", "ls");
    check("[[ $(a) == b && ( c < d ) ]]; e", "$:a ; e");
    check("if [[ (a || b) && c ]]; then ls; fi; echo [[; ls", "ls ; echo [[ ; ls");
    check("[ -f x ] && ls", "[ -f x ] ; ls");
    check("((i++)); ls", "ls");
    check("(( x > $(a) )) && b", "$:a ; b");
    check("((a); b)", "a ; b");
    check("(cd x && make) | tee log", ">:cd x ; >:make ; <:tee log");
    check("( ( a ) )", "a");
    check("{ a; }; b", "a ; b");
    check("time a b", "time a b ; a b");
    check("time -p a | b", ">:time -p a ; >:a ; <:b");
    check("time (a; b)", "time ; a ; b");
    check("time { a; }", "time ; a");
    check("time for x in a; do b; done", "time ; b");
    check("if a; then\n  b # why\nfi", "a ; b");
    check("if true; then for x in a; do while b; do c; done; done; fi", "true ; b ; c");
    check("A=1 B='x y' ls", "ls");
    check("a=(x 'y z' $(b)); ls", "$:b ; ls");
    check("a=(x # it's (\n y); ls", "ls");
    check("a+=(x) ls !(b|c) @(d)", "ls !(b|c) @(d)");
    check("a[1]=x ls", "ls");
    check("declare -A m=([a]=b [c]=d)", "declare -A m=([a]=b [c]=d)");
    check("echo {a,b}{1..3} ${x} }", "echo {a,b}{1..3} ${x} }");
    check("{cat,/etc/passwd} | a", ">:cat /etc/passwd ; <:a");
    check(
        "bash -c {echo,YQ==}|{base64,-d}|{bash,-i}",
        ">:bash -c {echo,YQ==} ; >:echo YQ== ; <>:base64 -d ; <:bash -i",
    );
    check("cmd <in >out", "cmd");
}

#[test]
fn assignments_are_kept() {
    let line = parse(b"A=1; B=2 C=3 ls; D=(a b)");
    let texts = |words: &[Word]| {
        words.iter().map(|word| String::from_utf8_lossy(word.text()).into_owned()).collect::<Vec<_>>()
    };
    assert_eq!(texts(&line.assignments), ["A=1", "D=(a b)"]);
    assert_eq!(texts(&line.runs[0].assignments), ["B=2", "C=3"]);
    assert_eq!(texts(&parse(b"env A=1 ls").runs[1].assignments), ["A=1"]);
    assert_eq!(texts(&parse(b"ls A=1").runs[0].words), ["ls", "A=1"]);
}

#[test]
fn what_zsh_adds() {
    check("ls *(.) **/*(om[1]) file(N) x(#i)y", "ls *(.) **/*(om[1]) file(N) x(#i)y");
    check("ls (a|b)*.c *.(jpg|png)", "ls (a|b)*.c *.(jpg|png)");
    check("for x (a b c) echo $x", "echo $x");
    check("for x (*.c) { a; b }", "a ; b");
    check("for x in a b; { c; }", "c");
    check("foreach x (a b)\n c $x\nend", "c $x");
    check("repeat 3 a", "a");
    check("repeat 3 do a; done", "a");
    check("repeat 3 { a; b }", "a ; b");
    check("if [[ -f x ]] { a } else { b }", "a ; b");
    check("if [[ -f x ]] a", "a");
    check("if (( x )) { a } elif (( y )) { b }", "a ; b");
    check("while (( i-- )) { a }", "a");
    check("{ a } always { b }", "a ; b");
    check("() { a; }", "f:a");
    check("function { a; }", "f:a");
    check("f() a b", "f:a b");
    check("case $x; in (a|b)c*) d;; (e) f; esac", "d ; f");
    check("{ x=1 } && a", "a");
    check("noglob a *", "noglob a * ; a *");
    check("echo ${(f)\"$(a)\"} $~x", "echo ${(f)\"$(a)\"} $~x ; $:a");
    check("a >>| b 2>>! c", "a");
    check("print -l $path[1,2] ~/x(:h)", "print -l $path[1,2] ~/x(:h)");
}

#[test]
fn what_fish_adds() {
    check("echo (date)", "echo (date) ; $:date");
    check("set x (a b | c)", "set x (a b | c) ; >$:a b ; <$:c");
    check("echo /lib/(uname -r)/x", "echo /lib/(uname -r)/x ; $:uname -r");
    check("echo foo(pwd)bar", "echo foo(pwd)bar ; $:pwd");
    check("set -x PATH $HOME/bin $PATH", "set -x PATH $HOME/bin $PATH");
    check("if test -f x; a; else if b; c; else; d; end", "test -f x ; a ; b ; c ; d");
    check("begin; a; b; end | c", ">:a ; >:b ; <:c");
    check("a; and b; or c; not d", "a ; b ; c ; d");
    check("if not a; b; end", "a ; b");
    check("for x in (ls); a $x; end", "$:ls ; a $x");
    check("while true; a; end; b", "true ; a ; b");
    check("switch $x; case a b; c; case '*'; d; end", "c ; d");
    check("switch (a)\ncase b\nc\nend\nd", "$:a ; c ; d");
    check("function f --argument x\na $x\nend\nb", "f:a $x ; b");
    check("function f; if a; b; else if c; d; end; end; e", "f:a ; f:b ; f:c ; f:d ; e");
    check("test (count $argv) -gt 1; and a", "test (count $argv) -gt 1 ; $:count $argv ; a");
    check("diff (sort a | psub) (b)", "diff (sort a | psub) (b) ; >$:sort a ; <$:psub ; $:b");
    check("a 'don\\'t' b; c", "a don't b ; c");
    check("a 'x\\\\' '\\d' (b 'it\\'s')", "a x\\ \\d (b 'it\\'s') ; $:b it's");
    check("a ^/dev/null", "a ^/dev/null");
    check("echo \"$(a)\" $argv[1..2]", "echo $(a) $argv[1..2] ; $:a");
}

#[test]
fn what_manuals_write() {
    check("ps -fp <pid>", "ps -fp <pid>");
    check("grep x <file> | wc -l", ">:grep x <file> ; <:wc -l");
    check("cat <in> out", "cat");
    check("<Ctrl a><d>", "<Ctrl a> <d>");
}
