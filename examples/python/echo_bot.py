#!/usr/bin/env python3
"""An echo bot that neither loses nor repeats a message, whatever is restarted.

    QPQ_URL    the gateway, default http://127.0.0.1:8080
    QPQ_TOKEN  the bot's token

How it stays exact: the gateway keeps the place of the named consumer and moves it only when this
bot acknowledges; an event that was not acknowledged comes again. Each echo carries an idempotency
key that is derived from the message it answers; a repeated answer is recognised and not sent twice.
"""

import asyncio
import json
import os
import sys
import urllib.error
import urllib.request

from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus, WebSocketException

URL = os.environ.get("QPQ_URL", "http://127.0.0.1:8080").rstrip("/")
TOKEN = os.environ.get("QPQ_TOKEN") or sys.exit("set QPQ_TOKEN to the bot's token")
HEADERS = {"Authorization": f"Bearer {TOKEN}"}


def post(path, body, key):
    """POSTs JSON; answers the status. Anything that may pass by itself raises OSError."""
    headers = HEADERS | {"Content-Type": "application/json", "Idempotency-Key": key}
    request = urllib.request.Request(URL + path, json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        problem = json.loads(error.read() or b"{}")
        if problem.get("retryable") or error.code >= 500:
            raise OSError(problem.get("title", error.reason)) from error
        print(f"refused: {error.code} {problem.get('title')}: {problem.get('detail')}")
        return error.code


async def insist(path, body, key):
    """POSTs until the gateway has answered for good."""
    delay = 0.1
    while True:
        try:
            return await asyncio.to_thread(post, path, body, key)
        except (OSError, ValueError, urllib.error.URLError):
            await asyncio.sleep(delay)
            delay = min(delay * 2, 5)


async def handle(event):
    """Answers one event. Doing it twice has the effect of doing it once."""
    data = event["data"]
    if event["type"] == "invitation.received":
        invitation = data["invitation_id"]
        await insist(f"/v1/invitations/{invitation}/accept", {}, f"accept-{event['cursor']}")
    elif event["type"] == "message.received" and data["type"] == "text":
        group, message = event["group_id"], data["message_id"]
        reply = {"type": "text", "content": data["content"]}
        await insist(f"/v1/groups/{group}/messages", reply, f"echo-{group}-{message}")


async def listen():
    """Handles events until the connection ends."""
    address = URL.replace("http", "ws", 1) + "/v1/events/ws?consumer=echo"
    async with connect(address, additional_headers=HEADERS, proxy=None) as socket:
        async for text in socket:
            frame = json.loads(text)
            if frame["type"] == "hello":
                print("listening", flush=True)
            elif frame["type"] == "event":
                await handle(frame["event"])
                await socket.send(json.dumps({"type": "ack", "ids": [frame["delivery_id"]]}))


async def main():
    delay = 0.1
    while True:
        try:
            await listen()
            delay = 0.1
        except (OSError, TimeoutError, WebSocketException) as error:
            if isinstance(error, InvalidStatus) and error.response.status_code in (401, 403):
                sys.exit(f"the gateway refuses the token: {error.response.body.decode()}")
            print(f"reconnecting in {delay:.1f} s: {error}", flush=True)
        await asyncio.sleep(delay)
        delay = min(delay * 2, 5)


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        pass
