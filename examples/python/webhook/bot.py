#!/usr/bin/env python3
"""A bot that is called instead of connecting: the gateway delivers events to it as webhooks.

QPQ_TOKEN       the bot's token
QPQ_URL         the gateway, default http://127.0.0.1:8080
WEBHOOK_LISTEN  host:port to listen at, default 127.0.0.1:9000
WEBHOOK_URL     how the gateway reaches it, default http:// and WEBHOOK_LISTEN
WEBHOOK_STATE   where the webhook's id and secret are kept, default ./webhook.json

The gateway delivers nowhere unless its operator allows it:
`qpq up --webhook-target http://127.0.0.1:9000`.
"""

import asyncio
import json
import os
import signal
import sys
import threading
from collections.abc import Coroutine
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from quicproquo import Client, QuicproquoError, Refused, settle
from quicproquo.generated.api.webhooks import (
    create_webhook,
    delete_webhook,
    get_webhook,
    list_webhooks,
)
from quicproquo.generated.models import WebhookRequest

LISTEN = os.environ.get("WEBHOOK_LISTEN", "127.0.0.1:9000")
ADDRESS = os.environ.get("WEBHOOK_URL", f"http://{LISTEN}")
STATE = Path(os.environ.get("WEBHOOK_STATE", "webhook.json"))
TYPES = ["message.received", "invitation.received"]
LARGEST = 2 * 1024 * 1024


async def register() -> str:
    """The secret of the webhook, which is made when there is none yet."""
    async with Client() as client:
        if STATE.exists():
            kept = json.loads(STATE.read_text())
            try:
                call = get_webhook.asyncio_detailed(kept["webhook_id"], client=client.api)
                if (await settle(call)).url.rstrip("/") == ADDRESS.rstrip("/"):
                    return str(kept["secret"])
            except Refused as refused:
                if refused.kind != "webhook-not-found":
                    raise
        # One of before, whose secret is lost.
        for old in (await settle(list_webhooks.asyncio_detailed(client=client.api))).items:
            if old.url.rstrip("/") == ADDRESS.rstrip("/"):
                await delete_webhook.asyncio_detailed(old.webhook_id, client=client.api)
        body = WebhookRequest(url=ADDRESS, types=TYPES)
        made = await settle(create_webhook.asyncio_detailed(client=client.api, body=body))
        kept = {"webhook_id": made.webhook_id, "secret": made.secret}
        descriptor = os.open(STATE, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(kept, file)
        # What it was invited to before the webhook was there.
        for invitation in await client.invitations():
            await client.accept(invitation.invitation_id)
        return str(made.secret)


async def accept(invitation: str) -> None:
    async with Client() as client:
        try:
            await client.accept(invitation)
        except Refused as refused:
            if refused.kind != "invitation-not-found":  # answered already
                raise


def handle(event: dict[str, Any]) -> dict[str, Any] | None:
    """What to say in the event's group. The gateway says it once, however often it delivers."""
    data = event["data"]
    if event["type"] == "invitation.received":
        wait_for(accept(data["invitation_id"]))
    elif data["type"] == "text":
        return {"type": "text", "content": {"body": data["content"]["body"].upper()}}
    return None


def wait_for(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(work)


class Receiver(BaseHTTPRequestHandler):
    """What the gateway calls. It tries again what is not answered with 2xx."""

    webhook: Webhook
    timeout = 30

    def do_POST(self) -> None:
        size = int(self.headers.get("Content-Length") or 0)
        if not 0 < size <= LARGEST:
            return self.end(413)
        body = self.rfile.read(size)
        try:
            event = self.webhook.verify(body, dict(self.headers))
        except WebhookVerificationError as error:
            print(f"a delivery that the gateway has not signed: {error}", flush=True)
            return self.end(401)
        try:
            message = handle(event)
        except QuicproquoError as error:
            print(f"{event['cursor']} comes again: {error}", flush=True)
            return self.end(503)
        return self.end(200, {"message": message} if message else None)

    def end(self, status: int, body: Any = None) -> None:
        content = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        if content:
            self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """One line for each delivery would say nothing."""


def main() -> None:
    host, _, port = LISTEN.rpartition(":")
    try:
        server = ThreadingHTTPServer((host, int(port)), Receiver)
    except (OSError, ValueError) as error:
        sys.exit(f"cannot listen at WEBHOOK_LISTEN={LISTEN}: {error}")
    try:
        Receiver.webhook = Webhook(wait_for(register()))
    except QuicproquoError as error:
        sys.exit(f"webhook: {error}")
    # `shutdown` waits for `serve_forever`, which the signal has interrupted.
    stop = threading.Thread(target=server.shutdown)
    signal.signal(signal.SIGTERM, lambda *_: stop.start())
    signal.signal(signal.SIGINT, lambda *_: stop.start())
    print(f"listening at {LISTEN}", flush=True)
    server.serve_forever()


main()
