#!/bin/sh
# Has a Prometheus scrape a running `qpq up` and asks it every query of the dashboard and the alerts.
#
#   packaging/monitoring/try.sh target/release/qpq
#
# Needs prometheus and promtool (Debian: prometheus), curl and jq.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
[ $# = 1 ] || { echo "usage: $0 QPQ" >&2; exit 2; }
qpq=$(realpath "$1")
dir=$(mktemp -d)
trap 'kill $pids 2> /dev/null; wait; rm -rf "$dir"' EXIT
pids=
sed -e '1,/^$/d' -e 's/^scrape_configs:/global: { scrape_interval: 1s }\n&/' \
    -e 's/127.0.0.1:8080/127.0.0.1:18080/; s/127.0.0.1:7001/127.0.0.1:17001/' \
    "$here/prometheus.yml" > "$dir/prometheus.yml"
cp "$here/alerts.yml" "$dir/"
promtool check config "$dir/prometheus.yml"

if curl -sS http://127.0.0.1:18080/health > /dev/null 2>&1; then
    echo "$0: something answers at 127.0.0.1:18080 already" >&2
    exit 2
fi
export QPQ_DATA_DIR="$dir/data" QPQ_URL=http://127.0.0.1:18080
"$qpq" up --http-listen 127.0.0.1:18080 --node-listen 127.0.0.1:17000 \
    --node-ops-listen 127.0.0.1:17001 > "$dir/up.log" 2>&1 & pids="$pids $!"
until "$qpq" health > /dev/null 2>&1; do sleep 0.2; done
prometheus --config.file="$dir/prometheus.yml" --storage.tsdb.path="$dir/tsdb" \
    --web.listen-address=127.0.0.1:19090 > "$dir/prometheus.log" 2>&1 & pids="$pids $!"

# Something of everything.
for bot in alice bob; do "$qpq" bot create $bot --save-token "$dir/$bot" > /dev/null; done
"$qpq" group create tea --member bob --token-file "$dir/alice" > /dev/null
"$qpq" invitation accept tea --token-file "$dir/bob" --wait 30s > /dev/null
for n in 1 2 3 4 5 6 7 8; do
    "$qpq" listen --consumer reader --count 1 --types message.received --token-file "$dir/bob" \
        > /dev/null & listener=$!
    sleep 0.5
    "$qpq" send --group tea --token-file "$dir/alice" "message $n" > /dev/null
    wait $listener
    sleep 0.5
done

ask() {
    curl -sS --get http://127.0.0.1:19090/api/v1/query --data-urlencode "query=$1"
}
wrong=0
{
    jq -r '.panels[].targets[]?.expr' "$here/grafana-dashboard.json" |
        sed 's/\$__rate_interval/1m/g'
    sed -n 's/^ *expr: /ALERT /p' "$here/alerts.yml"
} > "$dir/queries"
while IFS= read -r query; do
    answer=$(ask "${query#ALERT }")
    found=$(printf '%s' "$answer" | jq -r 'if .status == "success" then .data.result | length else .error end')
    # A query has series, an alert has none.
    said=WRONG
    case $query in
        ALERT*) if [ "$found" = 0 ]; then said="not firing"; fi ;;
        *) if [ "$found" -gt 0 ] 2> /dev/null; then said=answers; fi ;;
    esac
    [ "$said" != WRONG ] || wrong=1
    printf '%-10s %4s  %s\n' "$said" "$found" "${query#ALERT }"
done < "$dir/queries"
exit $wrong
