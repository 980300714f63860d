use crate::line::{Found as Run, for_each_run};

fn runs(text: &str) -> Vec<String> {
    let mut seen = Vec::new();
    let lossy = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
    for_each_run(text.as_bytes(), |run| {
        seen.push(match run {
            Run::Syntax => "-".to_owned(),
            Run::Wrapper { name, arguments } => format!("{}^{}", lossy(name), arguments.len()),
            Run::Program { name, arguments } => format!("{}/{}", lossy(name), arguments.len()),
        });
    });
    seen
}

fn check(text: &str, expected: &str) {
    assert_eq!(runs(text).join(" "), expected, "{text}");
}

#[test]
fn operators_end_a_command() {
    check("ls", "ls/0");
    check("ls -la /tmp; pwd", "ls/2 pwd/0");
    check("a b|c&&d||e&f\ng", "a/1 c/0 d/0 e/0 f/0 g/0");
    check("(cd x && make) | tee log", "cd/1 make/0 tee/1");
    check("", "");
    check(" # only a remark", "");
    check("ls # a; b", "ls/0");
    check("ls \\\n -l", "ls/1");
}

#[test]
fn quotes_and_substitutions_stay_in_their_word() {
    check("echo 'a; b' \"c | d\" e\\;f", "echo/3");
    check("echo \"$(date; \"x y\")\" `a; b` ${x:-a b}", "echo/3");
    check("'/usr/bin/l's", "ls/0");
    check("echo $'it\\'s; x'", "echo/1");
    check("diff <(sort a) <(sort b)", "diff/2");
    check("echo 'never closed; rm", "echo/1");
    check("a=(x y); ls !(b|c)", "- ls/1");
}

#[test]
fn redirections_and_here_documents_are_left_out() {
    check("ls >out 2>&1 </dev/null", "ls/0");
    check("2>err >>log cmd x &>all", "cmd/1");
    check("cat <<EOF; pwd\nrm -rf /\nEOF\nls", "cat/0 pwd/0 ls/0");
    check("cat <<-'E F'\n\trm\n\tE F\nls", "cat/0 ls/0");
    check("cat <<<word", "cat/0");
    check("cat <<EOF\nnever closed\nrm", "cat/0");
}

#[test]
fn keywords_assignments_and_definitions_are_syntax() {
    check("for f in a b; do rm $f; done", "- rm/1 -");
    check("if ! grep -q x y; then echo z; fi", "grep/3 echo/1 -");
    check("A=1 B='x y' ls", "ls/0");
    check("A=1", "-");
    check("f() { ls; }", "- ls/0 -");
    check("[[ -f x && $y ]] && ls", "- ls/0");
    check("if [[ (a || b) && c ]]; then ls; fi; echo [[; ls", "- ls/0 - echo/1 ls/0");
    check("((i++)); ls", "- ls/0");
    check("case $x in\n a|b) ls;;\n*) pwd;; esac", "- a/0 - ls/0 - pwd/0 -");
}

#[test]
fn wrappers_are_seen_through() {
    check("sudo ls", "sudo^0 ls/0");
    check("sudo -u bob -E -- ls -l", "sudo^4 ls/1");
    check("sudo -i", "sudo/1");
    check("sudo -e file", "sudo/2");
    check("env A=1 nice -n 5 timeout -s KILL 5s make -j4", "env^0 nice^2 timeout^3 make/1");
    check("command -v ls", "command/2");
    check("find . | xargs -0 -n 1 rm -f", "find/1 xargs^3 rm/1");
    check("sshpass -p secret ssh host", "sshpass^2 ssh/1");
    check("taskset -c 0,1 make", "taskset^2 make/0");
    check("watch -n 1 'a | b'", "watch/3");
    check("time", "time/0");
}
