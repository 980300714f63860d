#!/usr/bin/env bash
# Boots a whole machine beside this one: systemd as process 1 of namespaces of its own, over a layer on this
# machine's root that is gone when it is.
#
# usage: machine.sh start RUN CGROUP    what tests/harness/machine.rs runs; it ends when its standard input does
#        machine.sh hold RUN CGROUP     the same, where mounts are its own
#        machine.sh boot RUN            what becomes process 1
#
# RUN is a directory that holds `place/`, in which the machine says when it is up. CGROUP is a directory to be made in a hierarchy of version 2. Exit code 77 says that this machine
# does not let us.
set -euo pipefail

refuse() {
    echo "$*" >&2
    exit 77
}

# Looks whether this machine lets us at all, and goes where mounts are seen by nobody else.
start() {
    ((EUID == 0)) || refuse "not root"
    [[ -x $(systemd_path) ]] || refuse "systemd is not installed"
    command -v dbus-daemon >/dev/null || refuse "dbus is not installed"
    unshare --mount --uts --ipc --net --pid --cgroup --fork true || refuse "no namespaces"
    exec unshare --mount --propagation private bash "${BASH_SOURCE[0]}" hold "$@"
}

systemd_path() {
    local candidate
    for candidate in /usr/lib/systemd/systemd /lib/systemd/systemd; do
        [[ ! -x $candidate ]] || break
    done
    echo "$candidate"
}

# Holds the layer until standard input ends or the machine does, and leaves nothing behind.
hold() {
    # Not local: what clears away runs when this function is over.
    run=$1 cgroup=$2
    local status=0
    mkdir "$cgroup" || refuse "no cgroup of its own"
    trap clear_away EXIT
    [[ -w $cgroup/cgroup.kill ]] || refuse "this kernel cannot kill a cgroup"
    mkdir "$run/layer"
    mount -t tmpfs -o mode=0755,size=2g karo-machine "$run/layer" || refuse "no tmpfs"
    mkdir "$run/layer/upper" "$run/layer/work" "$run/layer/root"
    mount -t overlay -o "lowerdir=/,upperdir=$run/layer/upper,workdir=$run/layer/work" karo-machine \
        "$run/layer/root" || refuse "no overlay over the root"
    furnish "$run/layer/root"
    # A job in the background has no standard input of its own.
    exec 3<&0
    cat <&3 >/dev/null &
    again "$run" "$cgroup" &
    wait -n || status=$?
    return "$status"
}

clear_away() {
    local tries
    trap - EXIT
    # First what starts processes, then all of them.
    jobs -p | xargs -r kill -KILL 2>/dev/null || true
    echo 1 >"$cgroup/cgroup.kill"
    for ((tries = 0; tries < 1000; tries++)); do
        find "$cgroup" -depth -type d -exec rmdir {} + 2>/dev/null && break
        sleep 0.01
    done
    umount --recursive --lazy "$run/layer" 2>/dev/null || true
    rm --recursive --force --one-file-system "$run"
}

# A machine that reboots ends its process 1 by SIGHUP.
again() {
    local run=$1 cgroup=$2 status=129
    while ((status == 129)); do
        status=0
        sweep "$cgroup"
        (
            echo "$BASHPID" >"$cgroup/cgroup.procs"
            exec unshare --mount --uts --ipc --net --pid --cgroup --fork --kill-child \
                bash "${BASH_SOURCE[0]}" boot "$run"
        ) </dev/null || status=$?
    done
    return "$status"
}

# Takes away what an earlier boot made of the cgroup: a process can only be put into one that rules no others.
sweep() {
    local cgroup=$1 controller
    find "$cgroup" -mindepth 1 -depth -type d -exec rmdir {} + 2>/dev/null || true
    for controller in $(<"$cgroup/cgroup.subtree_control"); do
        echo "-$controller" >"$cgroup/cgroup.subtree_control"
    done
    # What is run in the machine from outside lives beside its units, not among them.
    mkdir -p "$cgroup/karo-test"
}

# Leaves of this machine's services only what a session needs.
furnish() {
    local root=$1 unit generator
    rm -rf "$root/etc/systemd/system" "$root/etc/systemd/user" "$root/var/log/journal" "$root/var/lib/systemd/linger"
    mkdir -p "$root"/etc/systemd/{system,user,system-generators,journald.conf.d,logind.conf.d} "$root/var/log/journal"
    for generator in /usr/lib/systemd/system-generators/* /lib/systemd/system-generators/*; do
        ln -sf /dev/null "$root/etc/systemd/system-generators/${generator##*/}"
    done
    for unit in /usr/lib/systemd/system/{sysinit,sockets,timers,local-fs,multi-user}.target.wants/*; do
        case ${unit##*/} in
            '*' | dbus.* | systemd-journal* | systemd-logind.* | systemd-user-sessions.*) ;;
            systemd-tmpfiles-setup.service) ;;
            *) ln -sf /dev/null "$root/etc/systemd/system/${unit##*/}" ;;
        esac
    done
    # The kernel's log is not this machine's.
    printf '[Journal]\nStorage=persistent\nReadKMsg=no\nAudit=no\n' >"$root/etc/systemd/journald.conf.d/machine.conf"
    # A user's manager goes when their last session does, not ten seconds later.
    printf '[Login]\nUserStopDelaySec=0\n' >"$root/etc/systemd/logind.conf.d/machine.conf"
    cat >"$root/etc/systemd/system/machine.target" <<'UNIT'
[Unit]
Requires=basic.target
Wants=dbus.service systemd-logind.service systemd-user-sessions.service
After=basic.target dbus.service systemd-logind.service systemd-user-sessions.service
AllowIsolate=yes
UNIT
    ln -s machine.target "$root/etc/systemd/system/default.target"
    echo machine >"$root/etc/hostname"
    rm -f "$root/etc/machine-id"
    tr -d - </proc/sys/kernel/random/uuid >"$root/etc/machine-id"
}

# Becomes process 1 of the machine.
boot() {
    local run=$1 root=$1/layer/root pid device
    # This machine's /proc is still what is mounted, so it says our number here.
    read -r pid _ </proc/self/stat
    mount --make-rprivate /
    mount -t proc -o nosuid,nodev,noexec proc "$root/proc"
    # Nothing in the machine changes the kernel that it shares with us.
    mount --bind "$root/proc/sys" "$root/proc/sys"
    mount -o remount,bind,ro "$root/proc/sys"
    mount -t sysfs -o nosuid,nodev,noexec,ro sysfs "$root/sys"
    mount -t cgroup2 -o nosuid,nodev,noexec cgroup2 "$root/sys/fs/cgroup"
    mount -t tmpfs -o mode=0755,nosuid tmpfs "$root/dev"
    for device in null zero full random urandom tty kmsg; do
        touch "$root/dev/$device"
        mount --bind "/dev/$device" "$root/dev/$device"
    done
    mkdir "$root/dev/pts" "$root/dev/shm"
    mount -t devpts -o newinstance,ptmxmode=0666,mode=0620,gid=5 devpts "$root/dev/pts"
    mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs "$root/dev/shm"
    ln -s pts/ptmx "$root/dev/ptmx"
    ln -s /proc/self/fd "$root/dev/fd"
    for device in stdin:0 stdout:1 stderr:2; do ln -s "fd/${device#*:}" "$root/dev/${device%:*}"; done
    mount -t tmpfs -o mode=0755,nosuid,nodev tmpfs "$root/run"
    mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs "$root/tmp"
    mkdir "$root/run/karo-machine" "$root/run/before"
    mount --bind "$run/place" "$root/run/karo-machine"
    # Each boot has an id of its own, as on a machine of its own.
    cat /proc/sys/kernel/random/uuid >"$root/run/boot_id"
    mount --bind "$root/run/boot_id" "$root/proc/sys/kernel/random/boot_id"
    ip link set lo up
    cd "$root"
    pivot_root . run/before
    echo "$pid" >run/karo-machine/pid
    # shellcheck disable=SC2016 # The inner shell expands its own.
    exec chroot . /bin/sh -c 'umount --lazy /run/before && rmdir /run/before && cd / && exec env -i "$@"' sh \
        container=karo NOTIFY_SOCKET=/run/karo-machine/notify LANG=C.UTF-8 \
        PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
        "$(systemd_path)" --system --log-target=journal --show-status=no
}

deed=$1
shift
case $deed in
    start) start "$@" ;;
    hold) hold "$@" ;;
    boot) boot "$@" ;;
    *) exit 2 ;;
esac
