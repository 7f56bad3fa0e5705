# What try.sh looks at, inside of its container.

say() { echo "== $*"; }
fail() {
    echo "try: $*" >&2
    journalctl --no-pager -n 40 >&2 || true
    exit 1
}
wait_for() {
    what=$1
    shift
    for _ in $(seq 300); do
        if "$@" > /dev/null 2>&1; then return 0; fi
        sleep 0.2
    done
    fail "waited in vain: $what"
}
pid() { systemctl show --property MainPID --value "$1"; }
restarts() { systemctl show --property NRestarts --value "$1"; }

confined() {
    main=$(pid "$1")
    user=$(stat -c %u "/proc/$main")
    # The range of DynamicUser.
    [ "$user" -ge 61184 ] && [ "$user" -le 65519 ] || fail "$1 does not run as a user of its own"
    grep -q '^CapEff:[[:space:]]*0*$' "/proc/$main/status" || fail "$1 has capabilities"
    grep -q '^NoNewPrivs:[[:space:]]*1$' "/proc/$main/status" || fail "$1 may gain privileges"
    grep -q '^Seccomp:[[:space:]]*2$' "/proc/$main/status" || fail "$1 has no filter of system calls"
    cut -d ' ' -f 5,6 "/proc/$main/mountinfo" | grep -q '^/ ro' || fail "$1 may write to the root"
    say "$1: user $user, no capabilities, a filter of system calls, a read-only root"
}

say "$(systemctl --version | head -n 1)"
export QPQ_DATA_DIR=/var/lib/private/quicproquo

systemctl start qpq-up || fail "qpq-up does not start"
qpq health
confined qpq-up
[ "$(stat -c '%a' /var/lib/private/quicproquo/admin-token)" = 600 ] || fail "the admin token is open"
qpq bot create alice --save-token /root-alice.token > /dev/null
say "qpq-up: status $(systemctl show --property StatusText --value qpq-up)"

before=$(pid qpq-up)
systemctl reload qpq-up
wait_for "the end of the reload" systemctl is-active qpq-up
[ "$(pid qpq-up)" = "$before" ] || fail "a reload restarts qpq-up"
say "qpq-up: reloaded"

kill -9 "$before"
wait_for "a restart after kill -9" test "$(restarts qpq-up)" != 0 -o "$(pid qpq-up)" != "$before"
wait_for "qpq-up to answer again" qpq health
qpq bot show alice > /dev/null
say "qpq-up: back after kill -9, with its bots"

mkdir -p /run/systemd/system/qpq-up.service.d
printf '[Service]\nWatchdogSec=6\nTimeoutAbortSec=1\n' > /run/systemd/system/qpq-up.service.d/quick.conf
systemctl daemon-reload
systemctl restart qpq-up
before=$(pid qpq-up)
kill -STOP "$before"
hung() { [ "$(pid qpq-up)" != "$before" ] && qpq health; }
wait_for "a restart by the watchdog" hung
journalctl --no-pager -u qpq-up | grep -q "Watchdog timeout" || fail "no word of the watchdog"
say "qpq-up: killed by its watchdog when it hung, and back"

systemctl stop qpq-up
[ "$(systemctl show --property Result --value qpq-up)" = success ] || fail "qpq-up does not end well"
say "qpq-up: stopped, result success"

# A node with a certificate (here the self-signed one that `up` has made) whose key only root reads.
mkdir -p /etc/quicproquo
cp "$QPQ_DATA_DIR/node/certificate.pem" /etc/quicproquo/fullchain.pem
cp "$QPQ_DATA_DIR/node/certificate.key.pem" /etc/quicproquo/privkey.pem
chmod 644 /etc/quicproquo/fullchain.pem
chmod 600 /etc/quicproquo/privkey.pem
sed -n 's/^#   //p' /usr/lib/systemd/system/qpq-node.service | sed -n '/^log = /,$p' \
    > /etc/quicproquo/node.toml
systemctl start qpq-node || fail "qpq-node does not start"
confined qpq-node
qpq health --url http://127.0.0.1:7001

# A gateway for it, whose master key is a credential that systemd has sealed.
head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n' | systemd-creds encrypt --name=master-key - \
    /etc/quicproquo/master-key.cred
mkdir -p /run/systemd/system/qpq-gateway.service.d
printf '[Service]\nLoadCredentialEncrypted=master-key:/etc/quicproquo/master-key.cred\n' \
    > /run/systemd/system/qpq-gateway.service.d/key.conf
systemctl daemon-reload
# On another address than loopback a node asks newcomers for invites.
invite=$(qpq node invite create --data-dir /var/lib/private/quicproquo-node --json |
    sed -n 's/.*"invite":"\([^"]*\)".*/\1/p')
cat > /etc/quicproquo/gateway.toml <<TOML
log = "info"
[link]
node = "127.0.0.1:7000"
ca = "/etc/quicproquo/fullchain.pem"
invite = "$invite"
[bots]
master_key = "credential:master-key"
TOML
systemctl start qpq-gateway || fail "qpq-gateway does not start"
confined qpq-gateway
QPQ_DATA_DIR=/var/lib/private/quicproquo-gateway
qpq bot create bob --save-token /root-bob.token > /dev/null
wait_for "the bot's link" sh -c "qpq bot show bob | grep -q running"
[ ! -e "$QPQ_DATA_DIR/gateway/master.key" ] && [ ! -e "$QPQ_DATA_DIR/master.key" ] ||
    fail "the master key lies beside the data"
say "qpq-node and qpq-gateway: invited, a bot is linked; the master key is a credential"
systemctl stop qpq-gateway qpq-node

for unit in qpq-up qpq-node qpq-gateway; do
    say "$(systemd-analyze security "$unit" --no-pager | sed -n 's/.*\(Overall exposure\)/\1/p')"
done
say "all is well"
