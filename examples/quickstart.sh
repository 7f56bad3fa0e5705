#!/usr/bin/env bash
# Two bots talk: the whole way through the gateway with nothing but curl.
#
#   QPQ_URL               the gateway, default http://127.0.0.1:8080
#   QPQ_ADMIN_TOKEN       the admin token, or
#   QPQ_ADMIN_TOKEN_FILE  the file that holds it (`qpq up` prints where it is)
set -euo pipefail

url=${QPQ_URL:-http://127.0.0.1:8080}
data_home=${XDG_DATA_HOME:-${HOME:-}/.local/share}
token_file=${QPQ_ADMIN_TOKEN_FILE:-$data_home/quicproquo/admin-token}
admin=${QPQ_ADMIN_TOKEN:-$(cat "$token_file")}

# call TOKEN METHOD PATH [JSON]: prints the answer; an error answer is shown and ends the script.
call() {
    local token=$1 method=$2 path=$3 body=${4:-} answer
    if ! answer=$(
        curl --silent --show-error --fail-with-body --max-time 60 \
            --request "$method" "$url$path" \
            --header "Authorization: Bearer $token" \
            ${body:+--header "Content-Type: application/json" --data "$body"}
    ); then
        printf '%s\n' "$answer" >&2
        return 1
    fi
    printf '%s' "$answer"
}

# field NAME: the first text field of that name in the JSON on standard input.
field() {
    grep --only-matching "\"$1\" *: *\"[^\"]*\"" | head --lines=1 | cut --delimiter='"' --fields=4
}

# secret: the token in the JSON on standard input.
secret() {
    grep --only-matching 'qpq_[A-Za-z0-9_-]*' | head --lines=1
}

say() { printf '\n%s\n' "$*"; }

# Names are claimed at the node, so every run takes new ones.
run=$(date +%s)-$$

say "1. Create two bots. Each gets an identity, a name and a token that is shown once."
alice=$(call "$admin" POST /v1/bots "{\"name\":\"alice-$run\"}")
bob=$(call "$admin" POST /v1/bots "{\"name\":\"bob-$run\"}")
alice_token=$(secret <<<"$alice")
bob_token=$(secret <<<"$bob")
echo "   alice $(field identity <<<"$alice")"
echo "   bob   $(field identity <<<"$bob")"

say "2. Bob remembers where his event log ends now."
tail=$(call "$bob_token" GET '/v1/events?timeout=0' | field next)
echo "   cursor $tail"

say "3. Alice creates a group and invites bob by his name."
group=$(call "$alice_token" POST /v1/groups "{\"name\":\"tea\",\"members\":[\"bob-$run\"]}" |
    field group_id)
echo "   group $group"

say "4. Bob waits for the invitation and accepts it."
event=$(call "$bob_token" GET "/v1/events?after=$tail&timeout=20000&types=invitation.received")
invitation=$(field invitation_id <<<"$event")
call "$bob_token" POST "/v1/invitations/$invitation/accept" '{}' >/dev/null
echo "   accepted $invitation"

say "5. Alice says hello; bob's long poll answers as soon as it is there."
call "$alice_token" POST "/v1/groups/$group/messages" \
    '{"type":"text","content":{"body":"Hello from alice"}}' >/dev/null
call "$bob_token" GET "/v1/events?after=$tail&timeout=20000&types=message.received"
echo
