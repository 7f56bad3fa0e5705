#!/usr/bin/env bash
# An echo bot with curl and jq: long poll, acknowledgements, retries.
#
#   QPQ_TOKEN  the bot's token
#   QPQ_URL    the gateway, default http://127.0.0.1:8080
set -euo pipefail

url=${QPQ_URL:-http://127.0.0.1:8080}
token=${QPQ_TOKEN:-}
consumer=echo-shell
[[ $token ]] || { echo "set QPQ_TOKEN to the bot's token" >&2; exit 1; }
for tool in curl jq; do
    command -v "$tool" >/dev/null || { echo "install $tool first" >&2; exit 1; }
done

work=$(mktemp -d)
running=
trap 'rm -rf "$work"' EXIT
# curl runs in the background, so that a signal is heard at once.
trap 'if [[ $running ]]; then kill "$running" 2>/dev/null || true; fi; exit 0' TERM INT

# call METHOD PATH KEY BODY: the answer is in $work/answer. Asks until the gateway has answered for
# good; the same key does the work once. Returns 1 when the gateway refuses.
call() {
    local method=$1 path=$2 key=$3 body=$4 pause=1 status reason
    while true; do
        # The token is no argument, which other users could see.
        curl --silent --max-time 60 --request "$method" "$url$path" \
            --header @- --header "Content-Type: application/json" \
            ${key:+--header "Idempotency-Key: $key"} ${body:+--data-binary "$body"} \
            --output "$work/answer" --write-out '%{http_code}' >"$work/status" \
            <<<"Authorization: Bearer $token" &
        running=$!
        wait "$running" || true
        running=
        status=$(<"$work/status")
        case $status in
            2??) return 0 ;;
            000) reason="no answer from $url" ;;
            *)
                reason=$(jq -r '"\(.title) \(.detail // "")"' "$work/answer" 2>/dev/null) ||
                    reason="something in front of the gateway answers $status"
                if ! jq -e .retryable "$work/answer" >/dev/null 2>&1 && [[ $status != 50[234] ]]; then
                    echo "the gateway refuses: $status $reason" >&2
                    return 1
                fi
                ;;
        esac
        echo "trying again in $pause s: $reason" >&2
        sleep "$pause"
        pause=$((pause < 5 ? pause + 1 : 5))
    done
}

# accept INVITATION: one that was answered already is no fault.
accept() {
    call POST "/v1/invitations/$1/accept" "accept-$1" '{}' || true
}

# answer TEXT: what the bot says to a text; nothing when that is empty. The part to change.
answer() {
    printf '%s' "$1"
}

# handle EVENT: when it comes again, the keys keep it from being answered twice.
handle() {
    local kind group key said reply
    kind=$(jq -r '"\(.type) \(.data.type // "")"' <<<"$1")
    case $kind in
        "invitation.received "*) accept "$(jq -r .data.invitation_id <<<"$1")" ;;
        "message.received text")
            said=$(answer "$(jq -r .data.content.body <<<"$1")")
            [ -n "$said" ] || return 0
            group=$(jq -r .group_id <<<"$1")
            key=$(jq -r '"echo-\(.group_id)-\(.data.sender.identity)-\(.data.message_id)"' <<<"$1")
            reply=$(jq -c --arg said "$said" \
                '{type: "text", content: {body: $said}, reply_to: .data.message_id}' <<<"$1")
            # A refusal concerns this event alone, such as a group that the bot has left meanwhile.
            call POST "/v1/groups/$group/messages" "$key" "$reply" || true
            ;;
    esac
}

# poll MILLISECONDS: handles the next events; what is not acknowledged within 10 s comes again.
poll() {
    local query="consumer=$consumer&types=message.received,invitation.received&lease=10000" event ack
    call GET "/v1/events?$query&timeout=$1" "" "" || exit 1
    jq -c '.items[]' "$work/answer" >"$work/events"
    while read -r event <&3; do
        handle "$event"
        ack=$(jq -c --arg consumer "$consumer" '{$consumer, ids: [.delivery_id]}' <<<"$event")
        call POST /v1/events/ack "" "$ack" || exit 1
    done 3<"$work/events"
}

# The consumer begins with the first poll; invitations from before are in the list.
poll 0
call GET /v1/invitations "" "" || exit 1
for invitation in $(jq -r '.items[].invitation_id' "$work/answer"); do
    accept "$invitation"
done
echo listening
while true; do
    poll 25000
done
