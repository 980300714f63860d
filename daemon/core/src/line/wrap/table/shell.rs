//! Shells, and what shells have built in.

use crate::line::wrap::row::{How, Wrapper, row};
use crate::line::wrap::search;

pub(super) const TABLE: &[Wrapper] = &[
    row("sh, bash, zsh, dash, ash, ksh, ksh93, mksh, pdksh, oksh, rbash, rzsh, yash, posh, lksh, osh, csh, tcsh, hush", How::Shell)
        .valued("-o -O +o +O --rcfile --init-file"),
    row("fish, elvish, nu, xonsh", How::Options)
        .script("-c --command --commands -C --init-command")
        .valued("-d --debug -o --debug-output -f --features -p --profile")
        .mixed()
        .fed(),
    row("busybox, toybox", How::Words).idle("--list --list-full --install --help --long"),
    row("eval", How::Joined),
    row("exec", How::Words).valued("-a"),
    row("command", How::Words).idle("-v -V"),
    row("builtin, noglob, nocorrect, -", How::Words),
    row("trap", How::Search(search::trap)),
    row("time, gtime", How::Words).valued("-f -o --format --output").assignments(),
    row("source /dev/stdin, . /dev/stdin", How::Options).fed(),
    row("xargs, gxargs", How::Words).detached().valued(
        "-a -d -E -I -L -n -P -s -J -R -S --arg-file --delimiter --max-lines --max-args --max-procs --max-chars \
         --process-slot-var",
    ),
    row("parallel, gparallel", How::Search(search::parallel)),
    row("rush", How::First).valued("-j -i -I -v -o -k -d -D -n -t -r").mixed(),
    row("find, gfind, bfs", How::Search(search::executions)),
    row("fd, fdfind", How::Search(search::executions_of_fd)),
    row("env, genv", How::Split).valued("-u -C -P --unset --chdir -a --argv0").script("-S --split-string").assignments(),
];
