"""The event stream: a WebSocket that is opened again whenever it ends."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any
from urllib.parse import urlencode

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from .client import Client
from .errors import QuicproquoError, refusal
from .generated.models import Problem
from .lanes import Job, Lanes
from .transport import pauses

log = logging.getLogger("quicproquo")

# Larger than any frame: a message holds 1 MiB of content.
_LARGEST_FRAME = 8 * 1024 * 1024
_STEADY = 30.0
_ENDS = {
    4401: "the token is not valid any more",
    4403: "the token may not read events, or is limited to other groups",
    4409: "another program runs as this consumer and listens for other events: stop it, or choose "
    "another name for one of them",
    4410: "events were deleted before this bot has read them; move the consumer by "
    "`POST /v1/events/ack` with `oldest` or `newest` of the answer to `GET /v1/events`",
}


class StreamEnded(QuicproquoError):
    """The gateway closed the stream for a reason that reconnecting does not mend."""


class Stream:
    """Reads a consumer's events until it is told to stop.

    Args:
        client: The bot.
        consumer: Names the bot's place in the log, which the gateway keeps.
        types: The types of events that are wanted.
        handle: Handles an event.
        lease: Seconds after which an event comes again that is neither acknowledged nor worked on.
        patience: Seconds that handling an event may take; `None` for ever.
    """

    def __init__(
        self,
        client: Client,
        consumer: str,
        types: Iterable[str],
        handle: Callable[[dict[str, Any]], Awaitable[None]],
        *,
        lease: float = 30.0,
        patience: float | None = 300.0,
    ) -> None:
        query = {
            "consumer": consumer,
            "types": ",".join(sorted(types)),
            "lease": str(round(lease * 1000)),
        }
        address = client.url.replace("http", "ws", 1)
        self._address = f"{address}/v1/events/ws?{urlencode(query)}"
        self._client = client
        self._connection: ClientConnection | None = None
        self._lanes = Lanes(handle, self, lease=lease, patience=patience)
        self._problem: str | None = None

    async def run(self, connected: Callable[[], None]) -> None:
        """Reads until it is cancelled.

        Raises:
            Refused: The gateway refuses the connection for good.
            StreamEnded: It closed the stream for good.
        """
        waits = pauses()
        while True:
            started = time.monotonic()
            try:
                await self._read(connected)
                reason = "the gateway closed the stream"
            except ConnectionClosed as error:
                reason = self._closed(error)
            except InvalidStatus as error:
                reason = _refused(error)
            except (OSError, TimeoutError, WebSocketException) as error:
                reason = str(error) or type(error).__name__
            if time.monotonic() - started > _STEADY:
                waits = pauses()
            wait = next(waits)
            log.info("connecting again in %.1f s: %s", wait, reason)
            await asyncio.sleep(wait)

    async def finish(self, grace: float) -> None:
        """Lets handlers end and acknowledges what they did, then closes the connection."""
        await self._lanes.finish(grace)
        if self._connection is not None:
            await self._connection.close()

    async def acknowledge(self, delivery_id: str) -> None:
        """Says that a delivery is handled."""
        await self._say({"type": "ack", "ids": [delivery_id]})

    async def extend(self, delivery_id: str) -> None:
        """Says that a delivery is still worked on."""
        await self._say({"type": "extend", "ids": [delivery_id]})

    async def _say(self, frame: dict[str, Any]) -> None:
        connection = self._connection
        if connection is None:
            return
        try:
            await connection.send(json.dumps(frame))
        except ConnectionClosed:
            log.debug("a frame was lost with its connection: %s", frame["type"])

    async def _read(self, connected: Callable[[], None]) -> None:
        self._problem = None
        self._connection = await connect(
            self._address,
            additional_headers={"Authorization": f"Bearer {self._client.token}"},
            max_size=_LARGEST_FRAME,
            proxy=None,
            ssl=self._client.tls,
        )
        try:
            async for text in self._connection:
                frame = json.loads(text)
                if frame["type"] == "event":
                    await self._lanes.deliver(Job(frame["delivery_id"], frame["event"]))
                elif frame["type"] == "hello":
                    connected()
                elif frame["type"] == "error":
                    self._problem = str(refusal(Problem.from_dict(frame["problem"])))
                    log.warning("the gateway says: %s", self._problem)
        except asyncio.CancelledError:
            # To stop: the connection is needed for acknowledgements until `finish`.
            raise
        except BaseException:
            self._connection = None
            raise
        finally:
            self._lanes.disconnected()
        self._connection = None

    def _closed(self, error: ConnectionClosed) -> str:
        code = error.rcvd.code if error.rcvd else 1006
        if code in _ENDS:
            raise StreamEnded(self._problem or _ENDS[code]) from error
        if code in (1003, 1008):
            raise StreamEnded(self._problem or str(error)) from error
        return self._problem or str(error)


def _refused(error: InvalidStatus) -> str:
    """Why the gateway opens no stream now; raises when it never will."""
    response = error.response
    try:
        problem = Problem.from_dict(json.loads(response.body or b""))
    except (ValueError, KeyError, TypeError):
        if response.status_code < 500:
            raise StreamEnded(f"this is no gateway: it answers {response.status_code}") from error
        return f"the answer was {response.status_code}"
    if not problem.retryable and problem.status < 500:
        raise refusal(problem) from error
    return str(refusal(problem))
