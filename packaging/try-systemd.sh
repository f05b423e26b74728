#!/bin/sh
# Boots this machine's own system a second time, below systemd-nspawn and with a memory over it that takes all that is written, installs a
# package there, and tries what only systemd can show: `packaging/try-systemd.sh target/debian/offhook_….deb`, as root on a Debian machine.
# Its network is a loopback of its own. Where such a system does not come up it says so, and nothing has been tried.
set -eu
if [ "${1:-}" != inside ]; then
    package=$(realpath "$1")
    work=$(mktemp --directory)
    boot=
    trap 'test -z "$boot" || { kill "$boot"; wait "$boot" || true; }
        umount --quiet "$work/root" || true; umount --quiet "$work" || true; rmdir "$work"' EXIT
    mount -t tmpfs tmpfs "$work"
    mkdir "$work/upper" "$work/work" "$work/root"
    if ! mount -t overlay -o "lowerdir=/,upperdir=$work/upper,workdir=$work/work" overlay "$work/root"; then
        echo "nothing is tried below systemd: no overlay can be mounted"
        exit 0
    fi
    cp "$package" "$work/root/offhook.deb"
    cp "$0" "$work/root/try-systemd.sh"
    systemd-nspawn --quiet --directory "$work/root" --machine "offhook-try-$$" --register=no --keep-unit --private-network \
        --boot systemd.unit=basic.target </dev/null >"$work/console" 2>&1 &
    boot=$!
    tries=0
    inside=
    until inside=$(cat "/proc/$boot/task/$boot/children" | tr -d ' ') && [ -n "$inside" ] \
        && nsenter --target "$inside" --mount --pid --ipc --uts --net --cgroup -- systemctl is-active --quiet basic.target 2>/dev/null; do
        tries=$((tries + 1))
        if [ "$tries" -gt 150 ] || ! kill -0 "$boot" 2>/dev/null; then
            cat "$work/console"
            echo "nothing is tried below systemd: it does not boot here"
            exit 0
        fi
        sleep 0.2
    done
    nsenter --target "$inside" --mount --pid --ipc --uts --net --cgroup -- /try-systemd.sh inside
    echo "started, asked, hung, killed, reloaded, replaced and stopped by systemd: $package"
    exit
fi

# What is tried, in that system. A failure shows the journal.
export DEBIAN_FRONTEND=noninteractive LC_ALL=C
trap 'test "$?" = 0 || { systemctl status offhook; journalctl --unit offhook --no-pager | tail -n 60; } >&2' EXIT
file=/etc/offhook/offhook.toml
is() { # WHAT IT IS, WHAT IT SHOULD BE
    test "$1" = "$2" || { echo "expected \"$2\", and it is \"$1\"" >&2; exit 1; }
}
show() {
    systemctl show offhook --property "$1" --value
}
until_is() { # PROPERTY VALUE, within a quarter of a minute
    tries=0
    until [ "$(show "$1")" = "$2" ]; do
        tries=$((tries + 1))
        test "$tries" -lt 150 || is "$1: $(show "$1")" "$1: $2"
        sleep 0.1
    done
}
count() { # TEXT [PRIORITY]: how often the journal has it
    journalctl --unit offhook --priority "${2:-debug}${2:+..$2}" --output cat | grep --count --fixed-strings -- "$1" || true
}
told() { # TEXT PRIORITY
    tries=0
    until [ "$(count "$1" "$2")" -gt 0 ]; do
        tries=$((tries + 1))
        test "$tries" -lt 50 || { echo "the journal does not have \"$1\" as $2" >&2; exit 1; }
        sleep 0.1
    done
}
fails() {
    if "$@" 2>/dev/null; then
        echo "it should have failed: $*" >&2
        exit 1
    fi
}
ask() {
    offhook rpc "$1" "$2" >/dev/null
}
calls() {
    offhook rpc sys.call.list '{}' | grep --only-matching '[^"]*sys\.call-[0-9]*'
}
is_refused() { # KEY VALUE EXIT_CODE: a start with it fails by that code, and is not tried again
    sed --in-place "s|^$1 = .*|$1 = $2|" "$file"
    fails systemctl start offhook
    sleep 2
    is "$(show ActiveState) $(show ExecMainStatus) $(show NRestarts)" "failed $3 0"
    cp /tmp/good.toml "$file"
}

# Of what this machine has of offhook nothing is looked at; below the memory it is as it was.
systemd-detect-virt --quiet --container
rm -rf /etc/offhook /var/lib/offhook /usr/sbin/policy-rc.d
dpkg --install /offhook.deb >/dev/null
is "$(systemctl is-enabled offhook || true) $(show ActiveState)" "disabled inactive"
# What systemd has begun is what takes calls: it waits for the node to say so.
mkdir /etc/systemd/system/offhook.service.d
dropin=/etc/systemd/system/offhook.service.d/try.conf
printf '[Service]\nWatchdogSec=5\nTimeoutStopSec=2\n' >"$dropin"
printf 'ExecStart=\nExecStart=/bin/sh -c "sleep 1; exec offhook serve --config %s"\n' "$file" >>"$dropin"
systemctl daemon-reload
systemctl start offhook
sed --in-place '/^ExecStart/d' "$dropin"
systemctl daemon-reload
ask sys.node.gateways '{}'
is "$(show StatusText)" "takes calls"
is "$(stat --format %U "/proc/$(show MainPID)")" offhook
told '"ready"' info

# Hung, and killed: it is there again each time, and knows that the machine has not gone down.
died=0
for signal in STOP KILL KILL KILL KILL KILL KILL; do
    kill "-$signal" "$(show MainPID)"
    died=$((died + 1))
    until_is NRestarts "$died"
    until_is ActiveState active
done
is "$(count "Watchdog timeout") $(count "the machine went down")" "1 0"

# A call to itself, which is recorded where the unit lets it, and hears a word of the pack.
: >/tmp/events
offhook events tail --after 0 >/tmp/events 2>/dev/null &
until grep --quiet "sys.node.on_started" /tmp/events; do sleep 0.1; done
ask sys.call.construct '{"from_uri": "99@127.0.0.1", "to_uri": "100@127.0.0.1:5060", "max_answer_seconds": 600}'
call=
tries=0
until [ -n "$call" ]; do
    tries=$((tries + 1))
    test "$tries" -lt 100 || { cat /tmp/events >&2; exit 1; }
    sleep 0.1
    for one in $(calls); do
        ! ask sys.call.answer "{\"res_id\": \"$one\", \"max_answer_seconds\": 600}" 2>/dev/null || call=$one
    done
done
until grep --quiet "sys.call.on_answer_completed" /tmp/events; do sleep 0.1; done
ask sys.call.record_start "{\"res_id\": \"$call\", \"max_seconds\": 1, \"beep\": false, \"record_file\": \"try.wav\"}"
until grep --quiet "sys.call.on_record_completed" /tmp/events; do sleep 0.1; done
test -s /var/lib/offhook/recordings/try.wav
ask sys.call.play_start "{\"res_id\": \"$call\", \"content\": [[\"1\", 2, \"lang=en\"]]}"
until grep --quiet "sys.call.on_play_completed" /tmp/events; do sleep 0.1; done

# A file that is wrong is told to who asks for it to be read, and changes nothing; one that is good is read.
cp "$file" /tmp/good.toml
node=$(show MainPID)
echo "rubbish = 1" >>"$file"
fails systemctl reload offhook
told "rubbish" err
cp /tmp/good.toml "$file"
sed --in-place 's/^drain_seconds = .*/drain_seconds = 4/' "$file"
cp --preserve=all "$file" /tmp/good.toml
systemctl reload offhook
told "the configuration has been reloaded" info
is "$(show MainPID) $(show ActiveState)" "$node active"

# The next version lets the call go on for the time of drain_seconds, longer than systemd waits of itself, ends it, and takes calls. What
# this site has recorded stays.
echo "of this site" >/var/lib/offhook/prompts/en/1.wav
dpkg-deb --raw-extract /offhook.deb /tmp/next
sed --in-place 's/^Version: .*/Version: 99.0.0-1/' /tmp/next/DEBIAN/control
dpkg-deb -Zgzip -z1 --build /tmp/next /tmp/next.deb >/dev/null
(until_is StatusText drains; calls >/tmp/calls) &
draining=$!
begun=$(date +%s)
dpkg --install /tmp/next.deb >/dev/null
took=$(($(date +%s) - begun))
test "$took" -ge 4 || is "$took s" "4 s or more"
wait "$draining"
grep --quiet "$call" /tmp/calls
grep --quiet "sys.call.on_released" /tmp/events
is "$(count "timed out")" 0
test "$(show MainPID)" != "$node"
is "$(show ActiveState) $(cat /var/lib/offhook/prompts/en/1.wav)" "active of this site"

# What cannot be at the next try either is not tried again.
systemctl stop offhook
is "$(show Result)" success
mkdir --mode 777 /srv/recordings
is_refused calls 0 78
is_refused recordings_dir '"/srv/recordings"' 77
