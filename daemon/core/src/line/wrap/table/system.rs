//! Programs that start another under some condition, watch it, or come back to it.

use crate::line::wrap::row::{How, Wrapper, row};
use crate::line::wrap::search;

pub(super) const TABLE: &[Wrapper] = &[
    row("nohup, gnohup, chronic, ts-run, nocache, eatmydata, unbuffer, tini, dumb-init", How::Words),
    row("setsid", How::Words),
    row("nice, gnice", How::Words).valued("-n --adjustment"),
    row("ionice", How::Words).valued("-c -n --class --classdata").idle("-p -P -u --pid --pgid --uid"),
    row("chrt", How::Words).valued("-T -P -D --sched-runtime --sched-period --sched-deadline").idle("-p -m --pid --max").operands(1),
    row("taskset", How::Words).idle("-p --pid").operands(1),
    row("timeout, gtimeout", How::Words).valued("-s -k --signal --kill-after").operands(1),
    row("timelimit", How::Words).valued("-t -T -s -S"),
    row("stdbuf, gstdbuf", How::Words).valued("-i -o -e --input --output --error"),
    row("watch, gwatch, hwatch, viddy", How::Joined)
        .valued("-n -q --interval --equexit --limit -i -s --shell -l -N --tab-size"),
    row("entr", How::Words).script("-s").mixed(),
    row("watchexec", How::Joined)
        .valued(
            "-w -e -f -i -s -d -o -W -E -j --watch --exts --filter --ignore --signal --debounce --shell --workdir \
             --on-busy-update --delay-run --env --stop-signal --stop-timeout --project-origin --watch-non-recursive",
        ),
    row("reflex", How::Words).valued("-r -R -g -G -d -c --regex --inverse-regex --glob --inverse-glob"),
    row("strace", How::Words)
        .valued(
            "-e -o -s -u -a -b -E -I -O -P -S -X -U --trace --output --user --string-limit --env --summary-sort-by \
             --columns",
        )
        .idle("-p --attach"),
    row("ltrace", How::Words).valued("-e -o -s -u -a -A -D -F -l -n -x -w --output --library"),
    row("gdb, lldb, cgdb, rust-gdb, rust-lldb, pwndbg", How::Search(search::debugged)),
    row("dtruss, sotruss, latrace, uftrace, catchsegv, heaptrack, coz", How::Words).valued("-n -p -t"),
    row("valgrind", How::Words).valued(""),
    row("perf stat, perf record, perf trace, perf mem, perf c2c, perf kvm", How::Words)
        .valued(
            "-e -o -r -F -c -p -t -C -x -I -G -M -m -k -j -D --event --output --repeat --freq --count --call-graph \
             --cpu --field-separator --interval-print --cgroup --metrics --delay --duration --mmap-pages",
        )
        .idle("-p --pid -t --tid"),
    row("leaks", How::Search(search::behind_dashes)),
    row("hyperfine, poop", How::Each)
        .valued(
            "-w -r -m -M -L -P -D -s -u -i -N -n --warmup --runs --min-runs --max-runs --parameter-list --style \
             --parameter-scan --parameter-step-size --export-json --export-csv --export-markdown --time-unit \
             --export-asciidoc --export-orgmode --shell --command-name --output --input",
        )
        .script("-p -c -S --prepare --cleanup --setup --conclude"),
    row("concurrently", How::Each).valued("-n -c -p -l -m --names --prefix-colors --prefix --max-processes"),
    row("script, scriptreplay", How::Words)
        .valued("-E -I -O -B -T -m -o --echo --log-in --log-out --log-io --log-timing --logging-format --output-limit")
        .script("-c --command")
        .operands(1)
        .mixed(),
    row("flock", How::Words)
        .valued("-w -E --timeout --wait --conflict-exit-code")
        .script("-c --command")
        .idle("-u --unlock")
        .operands(1)
        .mixed(),
    row("setlock, lockf, lockrun, shlock, logsave", How::Words).valued("-t -f").operands(1),
    row("at", How::Options).valued("-q -t -f").idle("-f -l -d -r -c --file").mixed().fed(),
    row("batch", How::Options).idle("-f -l -d").fed(),
    row("screen", How::Words)
        .valued("-S -c -e -h -p -s -t -T -Logfile")
        .idle("-r -x -ls -list -wipe -X -R -RR"),
    row("tmux new-session, tmux new, tmux new-window, tmux neww, tmux respawn-pane, tmux respawn-window, tmux display-popup, tmux popup, tmux split-window, tmux splitw", How::Search(search::window))
        .before("-L -S -f -T"),
    row("tmux run-shell, tmux run, tmux if-shell, tmux pipe-pane, tmux pipep", How::Each).before("-L -S -f -T").valued("-t -d"),
    row("tmux send-keys, tmux send", How::Search(search::send_keys)).before("-L -S -f -T"),
    row("abduco, dtach", How::Words).valued("-e -r -E").operands(1),
    row("zellij run, zellij action new-pane", How::Search(search::behind_dashes)),
    row("nq, tsp, fq, pueue add", How::Words).valued("-L -D -S -g --group -w --working-directory -l --label -d --delay -a --after"),
    row("xterm, uxterm, urxvt, rxvt, st, alacritty, kitty, foot, konsole, gnome-terminal, xfce4-terminal, terminator, lxterminal, mate-terminal, tilix, x-terminal-emulator, wezterm, ghostty, terminology", How::Search(search::terminal)),
    row("caffeinate", How::Words).valued("-t -w"),
    row("cpulimit", How::Words).valued("-l -p -e -P --limit --pid --exe --path").idle("-p -e -P --pid --exe --path"),
    row("trickle", How::Words).valued("-d -u -w -t -l -n -p -P -L"),
    row("numactl", How::Words).valued(
        "-i -m -N -C -p -l --interleave --membind --cpunodebind --physcpubind --preferred --weighted-interleave",
    ).idle("-H -s --hardware --show"),
    row("prlimit, softlimit", How::Words).valued("-m -d -s -l -a -f -o -p -r -t -c").idle("-p --pid"),
    row("setarch", How::Words).operands(1),
    row("multitime", How::Words).valued("-n -s -r -i -o -f -b -c"),
    row("linux32, linux64, arch", How::Words).valued("-arch -d -e"),
    row("daemonize, daemon, start_daemon", How::Words).valued("-a -c -e -E -o -p -l -u -v -n --name --user --pidfile --output"),
    row("envdir", How::Words).operands(1),
    row("with-contenv, s6-envdir, exec-as, rlwrap, dbus-launch, ssh-agent, gpg-agent, startx, optirun, primusrun, prime-run, gamemoderun, mangohud, xinit, dbus-run-session, cage, aoss, padsp, pw-jack, apulse", How::Words)
        .valued("-C -H -s -b -t -w -h -W -r")
        .idle("-k"),
    row("xvfb-run", How::Words).valued("-e -f -n -p -s -w --error-file --auth-file --server-num --server-args --wait --xauth-protocol"),
    row("ld.so, ld-linux.so.2, ld-linux-x86-64.so.2, ld-linux-aarch64.so.1, ld-musl-x86_64.so.1", How::Words)
        .valued("--library-path --preload --audit --inhibit-rpath --argv0")
        .idle("--list --verify"),
    row("torsocks, torify, tsocks, usewithtor, graftcp, proxychains, proxychains4, proxychains-ng, proxybound, dsocks", How::Words)
        .valued("-f -u -p -a -P --user --pass --address --port"),
    row("sshpass", How::Words).valued("-p -f -d -P"),
    row("retry", How::Words).valued("-t -d -m -n --times --delay --until --timeout"),
    row("wait-for-it, wait-for-it.sh, wait-for", How::Search(search::behind_dashes)),
    row("dockerize", How::Words).valued("-wait -timeout -template -stdout -stderr -poll -wait-retry-interval -wait-http-header -delims"),
    row("mpirun, mpiexec, mpiexec.hydra, orterun, prun", How::Words)
        .valued(
            "-n -np -c -N -H -host --host -hostfile --hostfile -machinefile --machinefile -x -mca --map-by --bind-to \
             --rank-by -wdir --wdir -f -ppn -genv --np",
        ),
    row("srun, salloc", How::Words).valued(
        "-n -N -c -p -t -J -A -w -x -o -e -i -D -G -q -C -d -m --ntasks --nodes --partition --time --job-name --account \
         --mem --gres --cpus-per-task --nodelist --exclude --output --error --qos --constraint --gpus --reservation",
    ),
    row("sbatch, bsub, qsub", How::Options).script("--wrap").mixed(),
    row("tar, gtar, bsdtar", How::Search(search::archive)),
    row("rsync", How::Options).script("-e --rsh").mixed(),
    row("xcrun", How::Words).valued("--sdk -sdk --toolchain -toolchain").idle("--find -f --show-sdk-path"),
    row("launchctl asuser", How::Words).operands(1),
    row("open, xdg-open", How::Options),
];
