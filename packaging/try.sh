#!/bin/sh
# Installs a package as an operator does, runs the server as the user and with the configuration that come with it, asks it, lets the next
# version take its place, and takes all of it away again: `packaging/try.sh target/debian/offhook_….deb`, as root on a Debian machine (or in
# a container of one) that has no offhook. It needs no systemd: what the unit does is done by hand.
set -eu
package=$(realpath "$1")
export DEBIAN_FRONTEND=noninteractive
if dpkg-query --show offhook >/dev/null 2>&1; then
    echo "offhook is installed here already" >&2
    exit 1
fi
server=
work=$(mktemp --directory)
chmod 755 "$work"
# What calls have left outlives a purge: what was here before comes back, and nothing else stays.
kept=/var/lib/offhook.before
test ! -e /var/lib/offhook || mv /var/lib/offhook "$kept"
take_away() {
    cd /
    test -z "$server" || kill "$server"
    apt-get -qq purge --yes offhook
    rm -rf "$work" /var/lib/offhook
    test ! -e "$kept" || mv "$kept" /var/lib/offhook
}
trap take_away EXIT
apt-get -qq install --yes --no-install-recommends "$package"

# Passwords are nobody else's business, and what is kept is the server's own.
test "$(stat --format '%U:%G %a' /etc/offhook/offhook.toml)" = "root:offhook 640"
test "$(stat --format '%U:%G %a' /var/lib/offhook)" = "offhook:offhook 750"
own=/var/lib/offhook/prompts/en/1.wav
cmp /usr/share/offhook/prompts/en/1.wav "$own"
cd /var/lib/offhook
as_offhook="setpriv --reuid offhook --regid offhook --init-groups --no-new-privs"
$as_offhook offhook check --config /etc/offhook/offhook.toml
serve() {
    $as_offhook offhook serve --config /etc/offhook/offhook.toml &
    server=$!
    tries=0
    until calls=$(offhook call ls --output json 2>/dev/null); do
        tries=$((tries + 1))
        test "$tries" -lt 100 || { echo "the server does not answer" >&2; exit 1; }
        sleep 0.1
    done
    test "$calls" = "[]"
}
serve
test "$(stat --format '%U %a' /var/lib/offhook/data/calls.db)" = "offhook 600"

# The next version, of which the configuration is another one: what this site has written stays, and whose it is; the server that runs goes
# on until it is asked to end, as systemd does after an installation (try-restart), and the next one finds what it has left.
next=$work/offhook
dpkg-deb --raw-extract "$package" "$next"
sed --in-place 's/^Version: .*/Version: 99.0.0-1/' "$next/DEBIAN/control"
echo "# of the next version" >>"$next/etc/offhook/offhook.toml"
dpkg-deb -Zgzip -z1 --build "$next" "$work/next.deb" >/dev/null
echo "# of this site" >>/etc/offhook/offhook.toml
echo "of this site" >"$own"
rm /var/lib/offhook/prompts/en/2.wav
apt-get -qq install --yes --option Dpkg::Options::=--force-confold "$work/next.deb"
test "$(dpkg-query --show --showformat '${Version}' offhook)" = "99.0.0-1"
test "$(tail -n 1 /etc/offhook/offhook.toml)" = "# of this site"
test "$(tail -n 1 /etc/offhook/offhook.toml.dpkg-dist)" = "# of the next version"
test "$(stat --format '%U:%G %a' /etc/offhook/offhook.toml)" = "root:offhook 640"
test "$(cat "$own")" = "of this site"
test -s /var/lib/offhook/prompts/en/2.wav
grep -q "deb-systemd-invoke try-restart offhook.service" /var/lib/dpkg/info/offhook.postinst
test "$(offhook call ls --output json)" = "[]"
kill -TERM "$server"
wait "$server"
serve
kill -TERM "$server"
wait "$server"
server=
trap - EXIT
take_away
for left in /usr/bin/offhook /etc/offhook/offhook.toml /usr/lib/systemd/system/offhook.service; do
    test ! -e "$left" || { echo "purge has left $left" >&2; exit 1; }
done
echo "installed, asked, replaced by the next version and taken away: $package"
