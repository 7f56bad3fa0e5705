"""Events on their way through the handlers: those of a group in order, groups side by side.

An event is acknowledged after its handler. One whose handler failed is not; it comes again, and
with it what followed it in its group, so nothing of that group is handled until then.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

log = logging.getLogger("quicproquo")

# The gateway sets an event aside after this many.
ATTEMPTS = 10
# Handled events that are remembered, in case their acknowledgements were lost.
REMEMBERED = 10_000


class Link(Protocol):
    """The connection, whichever it is at the moment. Both may fail quietly: what is not
    acknowledged comes again."""

    async def acknowledge(self, delivery_id: str) -> None:
        """Says that a delivery is handled."""

    async def extend(self, delivery_id: str) -> None:
        """Says that a delivery is still worked on."""


@dataclass
class Job:
    """A delivery that is not handled yet."""

    delivery_id: str
    event: dict[str, Any]

    @property
    def cursor(self) -> str:
        """The place of the event in the log."""
        return str(self.event["cursor"])


class Lanes:
    """Hands deliveries to handlers.

    Args:
        handle: Handles an event; raises when it should come again.
        link: Where acknowledgements go.
        lease: Seconds after which the gateway gives a delivery up unless it is extended.
        patience: Seconds that handling an event may take; `None` for ever.
    """

    def __init__(
        self,
        handle: Callable[[dict[str, Any]], Awaitable[None]],
        link: Link,
        *,
        lease: float,
        patience: float | None,
    ) -> None:
        self._handle = handle
        self._link = link
        self._lease = lease
        self._patience = patience
        self._lanes: dict[str | None, deque[Job]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._done: OrderedDict[str, None] = OrderedDict()
        # Groups with an event that failed, and all events of them seen since: one of these comes
        # again before anything else of the group is handled.
        self._failed: dict[str | None, set[str]] = {}

    async def deliver(self, job: Job) -> None:
        """Takes a delivery over."""
        group = job.event.get("group_id")
        cursor = job.cursor
        lane = self._lanes.get(group, deque())
        for waiting in lane:
            if waiting.cursor == cursor:
                waiting.delivery_id = job.delivery_id
                return
        if cursor in self._done and not job.event.get("replayed"):
            await self._link.acknowledge(job.delivery_id)
            return
        seen = self._failed.get(group)
        if seen is not None:
            if cursor not in seen and not job.event.get("replayed"):
                seen.add(cursor)
                return
            del self._failed[group]
        lane.append(job)
        if group not in self._lanes:
            self._lanes[group] = lane
            task = asyncio.create_task(self._work(group, lane))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def disconnected(self) -> None:
        """Forgets what waits: it is delivered again, here or elsewhere. What has begun goes on."""
        for lane in self._lanes.values():
            while len(lane) > 1:
                lane.pop()
        self._failed.clear()

    async def finish(self, grace: float) -> None:
        """Waits for what has begun, and ends what takes longer than `grace` seconds."""
        self.disconnected()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=grace)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _work(self, group: str | None, lane: deque[Job]) -> None:
        try:
            while lane:
                if await self._one(lane[0]):
                    lane.popleft()
                else:
                    # With what waits behind it: all of it comes again.
                    self._failed[group] = {job.cursor for job in lane}
                    lane.clear()
        finally:
            del self._lanes[group]

    async def _one(self, job: Job) -> bool:
        """Whether the next event of the group may be handled."""
        extending = asyncio.create_task(self._extend(job))
        try:
            async with asyncio.timeout(self._patience):
                await self._handle(job.event)
        except Exception:
            last = bool(job.event.get("attempt", 1) >= ATTEMPTS)
            what = "it is set aside" if last else "it comes again"
            log.exception(
                "%s %s was not handled, attempt %s; %s",
                job.event["type"],
                job.cursor,
                job.event.get("attempt", 1),
                what,
            )
            return last
        finally:
            extending.cancel()
            with suppress(asyncio.CancelledError):
                await extending
        self._done[job.cursor] = None
        if len(self._done) > REMEMBERED:
            self._done.popitem(last=False)
        await self._link.acknowledge(job.delivery_id)
        return True

    async def _extend(self, job: Job) -> None:
        while True:
            await asyncio.sleep(self._lease / 3)
            await self._link.extend(job.delivery_id)
