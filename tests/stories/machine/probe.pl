# Tries what a daemon that was taken over would try, and says of each deed `name: done` or `name: ERROR`.
# Run inside the unit and, for comparison, outside of it, by the same user.
#
# usage: probe.pl OUTPUT VICTIM
#
# OUTPUT is where it may write; VICTIM is a process of the same user outside of the unit.
use strict;
use warnings;
use Errno;
use POSIX ();
use Socket;

my ($output, $victim) = @ARGV;
my $home = $ENV{HOME};
my $runtime = "/run/user/$<";
my (undef, undef, undef, undef, $architecture) = POSIX::uname();
# Numbers of system calls that perl has no words for: x86_64, aarch64.
my %numbers = (
    mmap => [9, 222], mprotect => [10, 226], ptrace => [101, 117], syslog => [103, 116], unshare => [272, 97],
    setpriority => [141, 140], sched_setscheduler => [144, 119], personality => [135, 92],
    clock_settime => [227, 112], sethostname => [170, 161], perf_event_open => [298, 241], bpf => [321, 280],
    keyctl => [250, 219], process_vm_readv => [310, 270], mount => [165, 40], userfaultfd => [323, 282],
    init_module => [175, 105], swapon => [167, 224], chroot => [161, 51], kexec_load => [246, 104],
    setns => [308, 268], memfd_create => [319, 279], fchmodat => [268, 53], mknodat => [259, 33], clone => [56, 220],
);
sub call {
    my ($name, @arguments) = @_;
    my $number = $numbers{$name}[$architecture eq 'x86_64' ? 0 : 1];
    my $result = syscall($number, @arguments);
    return $result != -1;
}
sub word {
    my ($name) = grep { $!{$_} } sort keys %!;
    return $name // "errno " . ($! + 0);
}
open(my $said, '>', $output) or die "$output: $!";
sub try {
    my ($name, $deed) = @_;
    $! = 0;
    printf $said "%s: %s\n", $name, $deed->() ? 'done' : word();
}
sub written {
    my ($path) = @_;
    open(my $file, '>', $path) or return 0;
    print $file "probe\n";
    return close($file) && unlink($path);
}
sub connected {
    my ($path) = @_;
    socket(my $socket, AF_UNIX, SOCK_STREAM, 0) or return 0;
    return connect($socket, pack_sockaddr_un($path));
}
sub readable {
    my ($path) = @_;
    return open(my $file, '<', $path);
}
sub forked {
    my ($deed) = @_;
    # In a child, so that what works changes nothing here; the child's code is the error's number.
    my $child = fork() // die $!;
    POSIX::_exit($deed->() ? 0 : $! + 0) unless $child;
    waitpid($child, 0);
    $! = $? >> 8;
    return $? == 0;
}

try("write data", sub { written("$home/.local/share/karo/probe") });
try("write state", sub { written("$home/.local/state/karo/probe") });
try("write home", sub { written("$home/probe") });
try("write startup", sub { open(my $f, '>>', "$home/.profile") });
try("write configuration", sub { written("$home/.config/karo/probe") });
try("write system", sub { written('/etc/probe') or written('/usr/bin/probe') or written('/var/lib/probe') });
try("write sysctl", sub { open(my $f, '>', '/proc/sys/kernel/hostname') });
try("write cgroup", sub {
    my $own = "/sys/fs/cgroup/user.slice/user-$<.slice/user\@$<.service/probe";
    return mkdir($own) && rmdir($own);
});
try("read home", sub { readable("$home/.profile") });
# Whoever furnished this machine has put a secret wherever others keep theirs.
try("read keys", sub { grep { readable($_) } glob("$home/{.*,.config/*,.local/share/*}/secret") });
try("reach services", sub { grep { readable($_) } glob('/run/*/secret') });
try("read temporary files", sub { readable('/tmp/secret') });
try("read kernel modules", sub { readable('/usr/lib/modules/secret') });
try("read kernel symbols", sub { readable('/proc/kallsyms') });
try("see system processes", sub { -d '/proc/1' });
try("reach system bus", sub { connected('/run/dbus/system_bus_socket') });
try("reach session bus", sub { connected("$runtime/bus") });
try("reach manager", sub { connected("$runtime/systemd/private") });
try("reach journal", sub {
    socket(my $socket, AF_UNIX, SOCK_DGRAM, 0) or return 0;
    return connect($socket, pack_sockaddr_un('/run/systemd/journal/socket'));
});
try("trace", sub { forked(sub { call('ptrace', 16, $victim + 0, 0, 0) }) });
my $word = "\0" x 8;
my $into = pack('PQ', $word, 8);
my $from = pack('QQ', 0x10000, 8);
try("read memory of others", sub { call('process_vm_readv', $victim + 0, $into, 1, $from, 1, 0) or $!{EFAULT} });
try("look into others", sub { readable("/proc/$victim/mem") });
for my $space ([user => 0x10000000], [mount => 0x20000], [net => 0x40000000], [pid => 0x20000000], [uts => 0x4000000], [ipc => 0x8000000]) {
    # Alone no ordinary user gets but the first; with the first, all.
    my $flags = $space->[1] | ($space->[0] eq 'user' ? 0 : 0x10000000);
    try("new $space->[0] namespace", sub { forked(sub { call('unshare', $flags) }) });
}
try("clone namespace", sub { my $c = syscall($numbers{clone}[$architecture eq 'x86_64' ? 0 : 1], 0x10000000 | 17, 0, 0, 0, 0); POSIX::_exit(0) if $c == 0; waitpid($c, 0) if $c > 0; $c != -1 });
try("memory W+X", sub { call('mmap', 0, 4096, 7, 0x22, -1, 0) });
try("memory W then X", sub {
    my $at = syscall($numbers{mmap}[$architecture eq 'x86_64' ? 0 : 1], 0, 4096, 3, 0x22, -1, 0);
    $at != -1 && call('mprotect', $at, 4096, 5);
});
try("set user id bit", sub { my $p = "$home/.local/share/karo/suid"; open(my $f, '>', $p); close($f); my $done = call('fchmodat', -100, $p, 04755); my $error = $! + 0; unlink($p); $! = $error; $done });
for my $family ([inet => 2], [inet6 => 10], [unix => 1], [netlink => 16], [packet => 17], [alg => 38], [vsock => 40], [bluetooth => 31], [kcm => 41], [xdp => 44]) {
    try("socket $family->[0]", sub {
        my $kind = { netlink => 3, alg => 5, packet => 3, bluetooth => 3, kcm => 5, xdp => 3 }->{$family->[0]} // 1;
        socket(my $s, $family->[1], $kind, 0);
    });
}
# Those of x32 are what its own calls are, with a bit set: nothing else knows them here, and whoever may make none is ended.
try("calls of others", sub {
    return 0 if $architecture ne 'x86_64';
    my $child = fork() // die $!;
    unless ($child) { syscall(0x40000000 | 39); POSIX::_exit(0) }
    waitpid($child, 0);
    return ($? & 127) == 0;
});
my $room = "\0" x 4096;
try("kernel log", sub { call('syslog', 3, $room, 4096) or readable('/dev/kmsg') or readable('/proc/kmsg') });
try("priority", sub { call('setpriority', 0, 0, 19) });
try("realtime", sub { my $p = pack('i', 1); call('sched_setscheduler', 0, 1, $p) });
try("personality", sub { call('personality', 0x0040000) });
try("host name", sub { call('sethostname', 'probe', 5) });
my $time = pack('qq', 1, 0);
try("clock", sub { call('clock_settime', 0, $time) });
try("module", sub { call('init_module', 0, 0, 0) });
try("keyring", sub { call('keyctl', 0, -3, 1) });
my $attributes = pack('LLQ', 1, 112, 0) . "\0" x 96;
try("perf", sub { call('perf_event_open', $attributes, 0, -1, -1, 0) });
my $map = pack('LLLL', 1, 4, 4, 1) . "\0" x 100;
try("bpf", sub { call('bpf', 0, $map, 116) });
try("userfaultfd", sub { call('userfaultfd', 1) });
try("mount", sub { my ($n, $t) = ('none', 'tmpfs'); call('mount', $n, "$home/.local/state/karo", $t, 0, 0) });
try("device", sub { my $p = "$home/.local/state/karo/device"; call('mknodat', -100, $p, 0020600, 0x0103) });
try("disk", sub { readable('/dev/vda') or readable('/dev/loop0') or readable('/dev/sda') });
try("others' homes", sub { opendir(my $d, '/home/eve') });
open(my $status, '<', '/proc/self/status') or die $!;
while (my $line = <$status>) {
    print $said lc($1), ": $2\n" if $line =~ /^(NoNewPrivs|Seccomp|CapBnd|CapEff):\s+(\S+)/;
}
print $said "dev: ", join(' ', sort grep { !/^\./ } do { opendir(my $d, '/dev'); readdir($d) }), "\n";
close($said) or die $!;
