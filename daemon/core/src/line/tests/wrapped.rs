//! What runs behind wrappers.

use super::*;

#[test]
fn words_behind_a_wrapper_are_a_program() {
    check("sudo ls", "sudo ls ; !:ls");
    check("sudo -u bob -E -- ls -l", "sudo -u bob -E -- ls -l ; !:ls -l");
    check("sudo -nu bob ls", "sudo -nu bob ls ; !:ls");
    check("sudo --user=bob ls", "sudo --user=bob ls ; !:ls");
    check("sudo A=1 ls", "sudo A=1 ls ; !:ls");
    check("sudo -i", "sudo -i");
    check("sudo -i ls", "sudo -i ls ; !:ls");
    check("sudo -e file", "sudo -e file");
    check("sudo -l ls", "sudo -l ls");
    check("sudo -k ls", "sudo -k ls ; !:ls");
    check("doas -u bob ls", "doas -u bob ls ; !:ls");
    check("pkexec --user bob ls", "pkexec --user bob ls ; !:ls");
    check("runuser -u bob -- ls -l", "runuser -u bob -- ls -l ; !:ls -l");
    check(
        "env A=1 nice -n 5 timeout -s KILL 5s make -j4",
        "env A=1 nice -n 5 timeout -s KILL 5s make -j4 ; nice -n 5 timeout -s KILL 5s make -j4 ; timeout -s KILL 5s make -j4 ; make -j4",
    );
    check("env -i -u X ls", "env -i -u X ls ; ls");
    check("env", "env");
    check("command -v ls", "command -v ls");
    check("command ls", "command ls ; ls");
    check("builtin cd x", "builtin cd x ; cd x");
    check("exec -a x ls", "exec -a x ls ; ls");
    check("exec >log", "exec");
    check("nohup ls -l &", "&:nohup ls -l ; &:ls -l");
    check("find . | xargs -0 -n 1 rm -f", ">:find . ; <:xargs -0 -n 1 rm -f ; <:rm -f");
    check("xargs -I{} mv {} x", "xargs -I{} mv {} x ; mv {} x");
    check("sshpass -p secret ssh host", "sshpass -p secret ssh host ; ssh host");
    check("time", "time");
    check("busybox wget x", "busybox wget x ; wget x");
    check("chrt -f 10 ls", "chrt -f 10 ls ; ls");
    check("taskset -c 0,1 ls", "taskset -c 0,1 ls ; ls");
    check("taskset -p 1 22", "taskset -p 1 22");
    check("flock -n /x ls -l", "flock -n /x ls -l ; ls -l");
    check("strace -f -e trace=open -o x ls -l", "strace -f -e trace=open -o x ls -l ; ls -l");
    check("gdb --args ls -l", "gdb --args ls -l ; ls -l");
    check("valgrind --leak-check=full ./a", "valgrind --leak-check=full ./a ; ./a");
    check("perf stat -e x ls", "perf stat -e x ls ; ls");
    check("perf report", "perf report");
    check("chroot --userspec=a /mnt ls", "chroot --userspec=a /mnt ls ; ls");
    check("ip netns exec x ls", "ip netns exec x ls ; ls");
    check("ip -n x link", "ip -n x link");
    check("screen -dmS x ls -l", "screen -dmS x ls -l ; ls -l");
    check("npx -y cowsay hi", "npx -y cowsay hi ; cowsay hi");
    check("uv run --with x python a.py", "uv run --with x python a.py ; python a.py");
    check("npm exec -- a b", "npm exec -- a b ; a b");
    check("/usr/bin/sudo /bin/ls", "/usr/bin/sudo /bin/ls ; !:/bin/ls");
    check("$SUDO ls", "$SUDO ls ; !:ls");
}

#[test]
fn scripts_behind_a_wrapper_are_read() {
    check("bash -c 'a; b | c'", "bash -c a; b | c ; a ; >:b ; <:c");
    check("bash -lc 'a'", "bash -lc a ; a");
    check("bash -o pipefail -xc a b", "bash -o pipefail -xc a b ; a");
    check("bash script.sh -c x", "bash script.sh -c x");
    check("fish -c 'a; and b'", "fish -c a; and b ; a ; b");
    check("sudo sh -c 'a > b'", "sudo sh -c a > b ; !:sh -c a > b ; !:a");
    check("su - bob -c 'a b'", "su - bob -c a b ; !:a b");
    check("su -c a", "su -c a ; !:a");
    check("su", "su");
    check("runuser -l bob -c 'a b'", "runuser -l bob -c a b ; !:a b");
    check("eval a '\"b c\"'", "eval a \"b c\" ; a b c");
    check("watch -n 1 'a | b'", "watch -n 1 a | b ; >:a ; <:b");
    check("watch -d a b", "watch -d a b ; a b");
    check("trap 'a; b' EXIT", "trap a; b EXIT ; a ; b");
    check("trap - INT", "trap - INT");
    check("script -qc 'a b' /dev/null", "script -qc a b /dev/null ; a b");
    check("flock /x -c 'a; b'", "flock /x -c a; b ; a ; b");
    check("env -S 'A=1 a b' c", "env -S A=1 a b c ; a b c");
    check("env -S'a b'", "env -Sa b ; a b");
    check("parallel -j 4 a {} ::: b c", "parallel -j 4 a {} ::: b c ; a {}");
    check("parallel ::: 'a b' c", "parallel ::: a b c ; a b ; c");
    check("hyperfine -w 3 'a b' c", "hyperfine -w 3 a b c ; a b ; c");
    check("nix-shell -p x --run 'a b'", "nix-shell -p x --run a b ; a b");
    check("tmux new-session -d -s x 'a; b'", "tmux new-session -d -s x a; b ; a ; b");
    check("entr -s 'a; b'", "entr -s a; b ; a ; b");
    check("entr a /_", "entr a /_ ; a /_");
    check(
        "find . -name x -exec a {} \\; -exec b {} +",
        "find . -name x -exec a {} ; -exec b {} + ; a {} ; b {}",
    );
    check(
        "find . -exec sh -c 'a \"$1\"' _ {} \\;",
        "find . -exec sh -c a \"$1\" _ {} ; ; sh -c a \"$1\" _ {} ; a $1",
    );
    check("find . -delete", "find . -delete");
    check("fd x -x a {}", "fd x -x a {} ; a {}");
    check("git submodule foreach 'a b'", "git submodule foreach a b ; a b");
    check("git status", "git status");
    check("tar cf x --checkpoint-action=exec='a b' y", "tar cf x --checkpoint-action=exec=a b y ; a b");
}

#[test]
fn other_machines_and_containers_are_told() {
    check("ssh h", "ssh h");
    check("ssh -p 22 -i k u@h a b", "ssh -p 22 -i k u@h a b ; @:a b");
    check("ssh h -p 22 'a; sudo b'", "ssh h -p 22 a; sudo b ; @:a ; @:sudo b ; !@:b");
    check("ssh -t h sudo 'a b'", "ssh -t h sudo a b ; @:sudo a b ; !@:a b");
    check("ssh -N -L 1:a:2 h", "ssh -N -L 1:a:2 h");
    check("autossh -M 0 h a", "autossh -M 0 h a ; @:a");
    check("mosh h -- a b", "mosh h -- a b ; @:a b");
    check("docker run --rm -v a:b image a b", "docker run --rm -v a:b image a b ; #:a b");
    check("docker run image", "docker run image");
    check(
        "docker run --entrypoint sh image -c 'a b'",
        "docker run --entrypoint sh image -c a b ; #:sh -c a b ; #:a b",
    );
    check(
        "docker -H x exec -it -u root c sh -c 'a'",
        "docker -H x exec -it -u root c sh -c a ; #:sh -c a ; #:a",
    );
    check("docker ps -a", "docker ps -a");
    check("docker compose -f x exec web a b", "docker compose -f x exec web a b ; #:a b");
    check("docker-compose run --rm web a", "docker-compose run --rm web a ; #:a");
    check("kubectl exec -it p -c x -n y -- a b", "kubectl exec -it p -c x -n y -- a b ; #:a b");
    check("kubectl -n x exec p -- sh -c 'a'", "kubectl -n x exec p -- sh -c a ; #:sh -c a ; #:a");
    check("kubectl get pods", "kubectl get pods");
    check("lxc exec x -- a", "lxc exec x -- a ; #:a");
    check("machinectl shell x /bin/a b", "machinectl shell x /bin/a b ; #:/bin/a b");
    check("vagrant ssh -c 'a b'", "vagrant ssh -c a b ; @:a b");
    check("sudo docker exec c a", "sudo docker exec c a ; !:docker exec c a ; !#:a");
    check("ansible all -m shell -a 'a b'", "ansible all -m shell -a a b ; @:a b");
    check("adb shell a b", "adb shell a b ; @:a b");
}

#[test]
fn what_a_shell_is_fed_is_read() {
    check("bash <<E\na; b\nE\nc", "H:bash ; H:a ; H:b ; c");
    check("sudo bash -s x <<'E'\na\nE", "H:sudo bash -s x ; H!:bash -s x ; H!:a");
    check("ssh h <<E\na $(b)\nE", "H:ssh h ; H@:a $(b) ; $H:b");
    check("cat <<E | sh\na b\nE", ">H:cat ; <:sh ; <:a b");
    check("cat <<E | ssh h bash\na\nE", ">H:cat ; <:ssh h bash ; <@:bash ; <@:a");
    check("echo 'a; b' | sh", ">:echo a; b ; <:sh ; <:a ; <:b");
    check("echo a b | sudo sh", ">:echo a b ; <:sudo sh ; <!:sh ; <!:a b");
    check("echo -e 'a\\nb' | bash", ">:echo -e a\\nb ; <:bash ; <:a ; <:b");
    check("printf '%s\\n' 'a b' c | sh", ">:printf %s\\n a b c ; <:sh ; <:a b ; <:c");
    check("printf 'a\\nb' | sh", ">:printf a\\nb ; <:sh ; <:a ; <:b");
    check("echo a | tee x | sh", ">:echo a ; <>:tee x ; <:sh ; <:a");
    check("sudo echo a | sh", ">:sudo echo a ; >!:echo a ; <:sh ; <:a");
    check("bash <<<'a b'", "H:bash ; H:a b");
    check("echo a | at now", ">:echo a ; <:at now ; <:a");
    check("echo a | bash x.sh", ">:echo a ; <:bash x.sh");
    check("echo a | docker exec -i c sh", ">:echo a ; <:docker exec -i c sh ; <#:sh ; <#:a");
    check("curl x | sh", ">:curl x ; <:sh");
    check("bash <x", "bash");
    check("cat <<E | a\nb\nE", ">H:cat ; <:a");
}

#[test]
fn what_other_languages_run_is_read() {
    check(
        "python3.11 -c 'import os; os.system(\"a b\")'",
        "python3.11 -c import os; os.system(\"a b\") ; a b",
    );
    check(
        "python -c 'subprocess.run([\"a\", \"b c\"])'",
        "python -c subprocess.run([\"a\", \"b c\"]) ; a b c",
    );
    check("python -c 'filesystem(\"a\")'", "python -c filesystem(\"a\")");
    check("python a.py -c 'x'", "python a.py -c x");
    check(
        "perl -e 'system(\"a\", \"b\"); print `c d`'",
        "perl -e system(\"a\", \"b\"); print `c d` ; a b ; c d",
    );
    check("php -r '@popen(\"a b\",\"r\");'", "php -r @popen(\"a b\",\"r\"); ; a b");
    check("awk 'BEGIN {system(\"a \\\"b\\\"\")}'", "awk BEGIN {system(\"a \\\"b\\\"\")} ; a b");
    check("awk '{print \"%s|\", $0 | \"sort -u\"}'", "awk {print \"%s|\", $0 | \"sort -u\"} ; sort -u");
    check(
        "awk '{ \"date\" | getline x; print \"system(1)\" }'",
        "awk { \"date\" | getline x; print \"system(1)\" } ; date",
    );
    check("vim -c ':!a b' x", "vim -c :!a b x ; a b");
    check("sqlite3 x '.shell a'", "sqlite3 x .shell a ; a");
    check("gdb -ex '!a' --args b c", "gdb -ex !a --args b c ; a ; b c");
    check("sed -n 's/a/b/e'", "sed -n s/a/b/e");
}

#[test]
fn what_only_looks_like_a_wrapper_is_none() {
    check("find -x / -name a", "find -x / -name a");
    check("command1 a", "command1 a");
    check("eval \"$(a)\"", "eval $(a) ; $:a");
    check("sh -c \"$X\"", "sh -c $X");
    check("env $(a) b", "env $(a) b ; b ; $:a");
    check("echo a | xargs sh", ">:echo a ; <:xargs sh ; <:sh");
    check("strace -p 1", "strace -p 1");
    check("runuser '' -", "runuser  -");
    check("sudo ''", "sudo  ; !:");
    check("sudo -u", "sudo -u");
    check("docker run", "docker run");
    check("find . -exec", "find . -exec");
    check("ssh", "ssh");
    check("timeout", "timeout");
}
