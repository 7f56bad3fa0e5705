#!/bin/sh
# Starts the units of this folder under a systemd of their own and looks at what they do.
#
#   packaging/systemd/try.sh target/release/qpq
#
# Needs root and systemd-nspawn (Debian: systemd-container). The container has this machine's /usr, for
# reading, and nothing else of it: an empty /etc and /var, no network but its loopback. Ends with 77 when
# there can be no such container here.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
command -v systemd-nspawn > /dev/null && [ "$(id -u)" = 0 ] || {
    echo "try: needs root and systemd-nspawn" >&2
    exit 77
}
[ $# = 1 ] || { echo "usage: $0 QPQ" >&2; exit 2; }
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mkdir -p "$root/tree/etc/systemd/system/multi-user.target.wants" "$root/usr/bin" "$root/usr/lib/systemd/system"
install -m 0755 "$1" "$root/usr/bin/qpq"
install -m 0644 "$here"/qpq-*.service "$root/usr/lib/systemd/system/"
install -m 0755 "$here/try-inside.sh" "$root/tree/try-inside.sh"
mkdir "$root/tree/usr"
for dir in bin sbin lib lib64; do
    if [ -L "/$dir" ]; then ln -s "usr/$dir" "$root/tree/$dir"; fi
done
cp /etc/os-release "$root/tree/etc/"
echo quicproquo-try > "$root/tree/etc/hostname"
head -c 16 /dev/urandom | od -An -tx1 | tr -d ' \n' > "$root/tree/etc/machine-id"
echo 127.0.0.1 localhost > "$root/tree/etc/hosts"
printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n' > "$root/tree/etc/passwd"
printf 'root:x:0:\nnogroup:x:65534:\n' > "$root/tree/etc/group"
cat > "$root/tree/etc/systemd/system/try.service" <<'UNIT'
[Unit]
Description=What is looked at
After=multi-user.target
SuccessAction=exit-force
FailureAction=exit-force

[Service]
Type=oneshot
ExecStart=/bin/sh -eu /try-inside.sh
StandardOutput=file:/said
StandardError=file:/said
UNIT
ln -s ../try.service "$root/tree/etc/systemd/system/multi-user.target.wants/try.service"
ln -s /usr/lib/systemd/system/multi-user.target "$root/tree/etc/systemd/system/default.target"
# What the units do not need and a container cannot have.
for unit in console-getty.service getty.target systemd-firstboot.service systemd-networkd.service \
    systemd-networkd.socket systemd-resolved.service systemd-logind.service; do
    ln -s /dev/null "$root/tree/etc/systemd/system/$unit"
done
status=0
timeout 240 systemd-nspawn --quiet --boot --directory "$root/tree" --register=no --keep-unit \
    --private-network --machine quicproquo-try --overlay-ro="/usr:$root/usr:/usr" \
    < /dev/null > "$root/console" 2>&1 || status=$?
if [ ! -e "$root/tree/said" ]; then
    cat "$root/console"
    echo "try: the container has not started" >&2
    exit 77
fi
cat "$root/tree/said"
exit "$status"
