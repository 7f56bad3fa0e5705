#!/usr/bin/env python3
"""Tells a group what Prometheus Alertmanager sends to its webhook.

QPQ_TOKEN      the bot's token
QPQ_URL        the gateway, default http://127.0.0.1:8080
ALERT_GROUP    the id of the group
ALERT_SECRET   what Alertmanager must send as `Authorization: Bearer ...`
ALERT_LISTEN   host:port to listen at, default 127.0.0.1:9094
"""

import asyncio
import hashlib
import hmac
import json
import os
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from quicproquo import Bot, QuicproquoError

LARGEST = 1024 * 1024
# A notification that comes again within this time, in seconds, is the same one.
SAME = 600


def setting(name: str) -> str:
    return os.environ.get(name) or sys.exit(f"set {name}; the top of this file says to what")


GROUP = setting("ALERT_GROUP")
SECRET = setting("ALERT_SECRET")
HOST, _, PORT = os.environ.get("ALERT_LISTEN", "127.0.0.1:9094").rpartition(":")

bot = Bot("alerts")


def told(notification: dict[str, Any]) -> str:
    """The message for a notification (Alertmanager's webhook, version 4)."""
    lines = []
    for alert in notification["alerts"]:
        labels, notes = alert["labels"], alert["annotations"]
        sign = "🔥" if alert["status"] == "firing" else "✅"
        where = labels.get("instance")
        title = labels.get("alertname", "alert") + (f" at {where}" if where else "")
        text = notes.get("summary") or notes.get("description") or ""
        lines.append(f"{sign} {alert['status']}: {title}" + (f"\n{text}" if text else ""))
    if more := notification.get("truncatedAlerts"):
        lines.append(f"and {more} more")
    return "\n".join(lines)


def key_of(notification: dict[str, Any]) -> str:
    """The same for a notification that Alertmanager sends again because no answer reached it."""
    alerts = [
        [alert["fingerprint"], alert["status"], alert["startsAt"]]
        for alert in notification["alerts"]
    ]
    text = json.dumps([notification["groupKey"], alerts, int(time.time() / SAME)])
    return f"alert-{hashlib.sha256(text.encode()).hexdigest()}"


class Webhook(BaseHTTPRequestHandler):
    """What Alertmanager calls. It tries again what is answered with 5xx."""

    loop: asyncio.AbstractEventLoop
    timeout = 30

    def do_POST(self) -> None:
        expected = f"Bearer {SECRET}".encode()
        given = self.headers.get("Authorization", "").encode()
        size = int(self.headers.get("Content-Length") or 0)
        if not hmac.compare_digest(expected, given):
            return self.end(401)
        if not 0 < size <= LARGEST:
            return self.end(413)
        try:
            notification = json.loads(self.rfile.read(size))
            text, key = told(notification), key_of(notification)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            print(f"this is no notification of Alertmanager: {error!r}", flush=True)
            return self.end(400)
        sending = bot.client.send(GROUP, text, key=key)
        try:
            asyncio.run_coroutine_threadsafe(sending, self.loop).result()
        except QuicproquoError as error:
            print(f"not told: {error}", flush=True)
            return self.end(503)
        return self.end(200)

    def end(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """One line for each notification would say nothing."""


try:
    server = ThreadingHTTPServer((HOST, int(PORT)), Webhook)
except (OSError, ValueError) as error:
    sys.exit(f"cannot listen at ALERT_LISTEN={HOST}:{PORT}: {error}")


@bot.background
async def serve() -> None:
    Webhook.loop = asyncio.get_running_loop()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"alerts at http://{HOST}:{server.server_port}/", flush=True)
    try:
        await asyncio.Event().wait()
    finally:
        await asyncio.to_thread(server.shutdown)


bot.run()
