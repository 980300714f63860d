//! Programs that run another with other rights, or in a part of the system that is cut off.

use crate::line::wrap::row::{How, Wrapper, row};
use crate::line::wrap::search;

pub(super) const TABLE: &[Wrapper] = &[
    row("sudo, sudo-rs", How::Words)
        .valued(
            "-u -g -p -h -C -D -R -r -t -T -U -a -c --user --group --prompt --host --chdir --chroot --role --type \
             --close-from --command-timeout --other-user --auth-type --login-class",
        )
        .idle("-e -l -v -K -V --edit --list --validate --remove-timestamp --version --help")
        .assignments()
        .fed()
        .privileged(),
    row("doas", How::Words).valued("-u -C -a").idle("-L").fed().privileged(),
    row("pkexec", How::Words).valued("--user -u").idle("--version --help").privileged(),
    row("run0, dzdo, please, sux, calife", How::Words)
        .valued("-u -g -p -D --user --group --unit --property --description --slice --nice --chdir --setenv --background")
        .assignments()
        .privileged(),
    row("su, ksu", How::Options)
        .valued("-s -g -G -w -T --shell --group --supp-group --whitelist-environment")
        .script("-c --command --session-command")
        .mixed()
        .fed()
        .privileged(),
    row("runuser", How::Search(search::runuser)).privileged(),
    row("gksudo, gksu, kdesudo, kdesu, beesu, lxqt-sudo", How::Words)
        .valued("-u -m --user --message")
        .script("-c --command")
        .assignments()
        .privileged(),
    row("gosu, su-exec, setuidgid, s6-setuidgid", How::Words).operands(1).privileged(),
    row("chpst", How::Words).valued("-u -U -b -e -/ -n -l -L -m -d -o -p -f -c -C").privileged(),
    row("setpriv", How::Words)
        .valued(
            "--reuid --regid --ruid --euid --rgid --egid --groups --inh-caps --ambient-caps --bounding-set \
             --securebits --pdeathsig --selinux-label --apparmor-profile",
        )
        .privileged(),
    row("sg", How::Options).script("-c").mixed().privileged(),
    row("capsh", How::Search(search::capsh)).privileged(),
    row("chroot", How::Words).valued("-u -g -G --userspec --groups").operands(1).fed(),
    row("arch-chroot", How::Words).valued("-u").operands(1).fed().privileged(),
    row("schroot, dchroot", How::Words)
        .valued("-c -u -d -s -o -p --chroot --user --directory --shell --option")
        .fed(),
    row("unshare", How::Words)
        .valued("-S -G -R -w --setuid --setgid --root --wd --map-user --map-group --propagation --map-users --map-groups -l")
        .fed(),
    row("nsenter", How::Words).valued("-t -S -G --target --setuid --setgid").fed(),
    row("ip netns exec", How::Words).before("-n -netns --netns").operands(1),
    row("ip vrf exec", How::Words).operands(1),
    row("firejail", How::Words).idle("--list --tree --top"),
    row("bwrap", How::Search(search::bubblewrap)),
    row("fakeroot, fakeroot-ng, fakechroot, pseudo", How::Words).valued("-l -s -i -b --lib --faked"),
    row("proot", How::Words).valued("-r -b -q -w -v -k -R -S --rootfs --bind --cwd --pwd --qemu"),
    row("runcon", How::Words).valued("-u -r -t -l --user --role --type --range").operands(1),
    row("sandbox-exec", How::Words).valued("-f -n -p -D"),
    row("aa-exec", How::Words).valued("-p -n --profile --namespace"),
    row("minijail0", How::Words).valued("-u -g -c -b -k -S -P -C -m -M -f -T -a -e -V -w"),
    row("cgexec", How::Words).valued("-g"),
    row("systemd-run", How::Words)
        .valued(
            "-p -u -M -H -E -t -S --property --unit --machine --host --setenv --uid --gid --nice --working-directory \
             --slice --description --service-type --on-active --on-boot --on-startup --on-unit-active --on-calendar \
             --on-unit-inactive --timer-property --path-property --socket-property --background",
        )
        .fed(),
    row("systemd-inhibit", How::Words).valued("--what --who --why --mode").idle("--list"),
    row("start-stop-daemon", How::Search(search::daemon)),
];
