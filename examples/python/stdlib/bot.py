#!/usr/bin/env python3
"""An echo bot of the standard library alone: long poll, acknowledgements, retries.

QPQ_TOKEN  the bot's token
QPQ_URL    the gateway, default http://127.0.0.1:8080
"""

import json
import os
import signal
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

URL = os.environ.get("QPQ_URL", "http://127.0.0.1:8080").rstrip("/")
TOKEN = os.environ.get("QPQ_TOKEN") or sys.exit("set QPQ_TOKEN to the bot's token")
CONSUMER = "echo-stdlib"
POLL_MS = 25_000


def call(method: str, path: str, body: Any = None, key: str | None = None) -> Any:
    """Asks the gateway until it has answered for good; the same key does the work once."""
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    if key is not None:
        headers["Idempotency-Key"] = key
    content = None if body is None else json.dumps(body).encode()
    pause = 0.1
    while True:
        request = urllib.request.Request(URL + path, content, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=POLL_MS / 1000 + 15) as answer:
                return json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            text = error.read()
            problem = json.loads(text) if text.startswith(b"{") else {"title": error.reason}
            if not problem.get("retryable", error.code >= 502):
                detail = problem.get("detail") or ""
                raise Refused(error.code, f"{problem['title']} {detail}".strip()) from None
            reason = problem["title"]
        except (OSError, ValueError) as error:
            reason = str(error)
        print(f"trying again in {pause:.1f} s: {reason}", file=sys.stderr, flush=True)
        time.sleep(pause)
        pause = min(pause * 2, 5)


class Refused(Exception):
    """The gateway's answer, when repeating the request does not mend it."""

    def __init__(self, status: int, reason: str) -> None:
        self.status = status
        super().__init__(f"{status} {reason}")


def answer(text: str) -> str | None:
    """What the bot says to a text, if anything: the part to change."""
    return text


def handle(event: dict[str, Any]) -> None:
    """Answers an event. When it comes again, the keys keep it from being answered twice."""
    data = event["data"]
    if event["type"] == "invitation.received":
        accept(data["invitation_id"])
    elif data["type"] == "text" and (said := answer(data["content"]["body"])) is not None:
        group, message = event["group_id"], data["message_id"]
        reply = {"type": "text", "content": {"body": said}, "reply_to": message}
        key = f"echo-{group}-{data['sender']['identity']}-{message}"
        call("POST", f"/v1/groups/{group}/messages", reply, key)


def accept(invitation: str) -> None:
    try:
        call("POST", f"/v1/invitations/{invitation}/accept", {}, f"accept-{invitation}")
    except Refused as refused:
        if refused.status != 404:  # answered already
            raise


def poll(timeout: int) -> list[dict[str, Any]]:
    """The next events, as soon as there are some; what is not acknowledged within 10 s comes
    again."""
    query = {
        "consumer": CONSUMER,
        "types": "message.received,invitation.received",
        "timeout": timeout,
        "lease": 10_000,
    }
    page = call("GET", f"/v1/events?{urllib.parse.urlencode(query)}")
    events: list[dict[str, Any]] = page["items"]
    return events


def work(events: list[dict[str, Any]]) -> None:
    for event in events:
        try:
            handle(event)
        except Refused as refused:
            # Such as a group that the bot has left meanwhile.
            print(f"{event['cursor']} has no answer: {refused}", file=sys.stderr, flush=True)
        ids = [event["delivery_id"]]
        call("POST", "/v1/events/ack", {"consumer": CONSUMER, "ids": ids})


def main() -> None:
    # The consumer begins with the first poll; invitations from before are in the list.
    work(poll(0))
    for invitation in call("GET", "/v1/invitations")["items"]:
        accept(invitation["invitation_id"])
    print("listening", flush=True)
    while True:
        work(poll(POLL_MS))


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        main()
    except Refused as refused:
        sys.exit(f"the gateway refuses: {refused}")
    except KeyboardInterrupt:
        pass
