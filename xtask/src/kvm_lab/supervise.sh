# Second stage, still PID 1, on the new root: run the job with its output on virtio ports, then say how it ended.
lab=/run/kvm-lab
b=$lab/busybox

die() {
    echo "kvm-lab: $*" >/dev/console
    $b poweroff -f
}

# The device of the port that the host named $1. Ports appear some time after their driver.
port() {
    tries=0
    while [ $tries -lt 200 ]; do
        for entry in /sys/class/virtio-ports/*; do
            if [ "$($b cat "$entry/name" 2>/dev/null)" = "$1" ]; then
                echo "/dev/${entry##*/}"
                return 0
            fi
        done
        tries=$((tries + 1))
        $b sleep 0.05
    done
    return 1
}

control=$(port control) || die "there is no control port"
out=$(port out) || die "there is no port for stdout"
err=$(port err) || die "there is no port for stderr"

# Pipes between the job and the ports: a port can be opened once only, and a job may open /dev/stderr again.
# Each copier counts, so that the host can tell when it has everything.
$b mkfifo $lab/out $lab/err
$b tee "$out" <$lab/out | $b wc -c >$lab/out.count &
out_copier=$!
$b tee "$err" <$lab/err | $b wc -c >$lab/err.count &
err_copier=$!

echo start >"$control"
# In a PID namespace whose first process is the job's shell: when it ends, so does all that the job left running. In a
# mount namespace too, for that PID namespace's /proc.
$b unshare --mount --pid --fork $b sh $lab/job.sh </dev/null >$lab/out 2>$lab/err
status=$?
wait $out_copier $err_copier
echo "exit $status $($b cat $lab/out.count) $($b cat $lab/err.count)" >"$control"
# The host ends the machine once it has read that many bytes.
while :; do
    $b sleep 1000
done
