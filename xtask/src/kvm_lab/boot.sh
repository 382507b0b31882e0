#!/busybox sh
# First stage, as PID 1 in the initramfs: load the modules, stack a writable root on the host's, switch to it.
b=/busybox

die() {
    echo "kvm-lab: $*" >/dev/console
    $b poweroff -f
}

$b mount -t devtmpfs dev /dev
$b mount -t proc proc /proc || die "cannot mount /proc"

for module in $($b cat /modules/order); do
    $b insmod "/modules/$module" || die "cannot load the module $module"
done
[ -c /dev/kvm ] || die "kvm-amd is loaded but there is no /dev/kvm"

# Nothing on the host may change under us, so every page of the host's files may be cached.
$b mount -t 9p -o ro,trans=virtio,version=9p2000.L,msize=524288,cache=loose,access=any host /host ||
    die "cannot mount the host's file system over 9p"
$b mount -t tmpfs -o mode=755,size=75% layer /layer || die "cannot mount the writable layer"
$b mkdir /layer/upper /layer/work
$b mount -t overlay -o lowerdir=/host,upperdir=/layer/upper,workdir=/layer/work root /root ||
    die "cannot stack the writable layer on the host's file system"

for dir in dev proc sys run; do
    [ -d /root/$dir ] || $b mkdir /root/$dir
done
$b mount --move /dev /root/dev
$b mount --move /proc /root/proc
$b mount -t sysfs sys /root/sys
$b mount -t cgroup2 cgroup /root/sys/fs/cgroup
$b mkdir -p /root/dev/pts /root/dev/shm
$b mount -t devpts -o mode=620,ptmxmode=666 pts /root/dev/pts
$b mount -t tmpfs -o mode=1777 shm /root/dev/shm
$b mount -t tmpfs -o mode=755 run /root/run
$b ln -sf /proc/self/fd /root/dev/fd
$b ln -sf /proc/self/fd/0 /root/dev/stdin
$b ln -sf /proc/self/fd/1 /root/dev/stdout
$b ln -sf /proc/self/fd/2 /root/dev/stderr
$b ip link set lo up
$b hostname kvm-lab

$b mkdir /root/run/kvm-lab
$b cp /busybox /supervise.sh /job.sh /root/run/kvm-lab/
exec $b switch_root /root /run/kvm-lab/busybox sh /run/kvm-lab/supervise.sh
die "cannot switch to the new root"
