"""Requests that are repeated until they are answered for good, and done once.

Works beneath the generated client, so that every route of the API has it.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import httpx

IDEMPOTENCY_KEY = "Idempotency-Key"
FIRST_PAUSE = 0.1
LONGEST_PAUSE = 5.0
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
# What proxies in front of a gateway say while it is away.
_PASSING = frozenset({502, 503, 504})


class Keys:
    """The idempotency keys of what one event's handlers do.

    The n-th request to a route has the same key whenever the event is handled, so that an event
    that comes again does nothing twice.
    """

    def __init__(self, event: str) -> None:
        self._event = event
        self._counts: Counter[str] = Counter()

    def next(self, method: str, path: str) -> str:
        """The key of the next request to a route."""
        route = f"{method} {path}"
        self._counts[route] += 1
        digest = hashlib.sha256(route.encode()).hexdigest()[:16]
        return f"{self._event}/{digest}/{self._counts[route]}"


_keys: ContextVar[Keys | None] = ContextVar("quicproquo_keys", default=None)


@contextmanager
def keys_of(event: str) -> Iterator[None]:
    """Inside, requests without a key of their own have those of an event."""
    token = _keys.set(Keys(event))
    try:
        yield
    finally:
        _keys.reset(token)


def derived_key(method: str, path: str) -> str:
    """The key of a request that was given none."""
    keys = _keys.get()
    return keys.next(method, path) if keys else str(uuid.uuid4())


def pauses() -> Iterator[float]:
    """Seconds to wait before each new attempt: growing, and different for every client."""
    pause = FIRST_PAUSE
    while True:
        yield pause * random.uniform(0.5, 1.0)
        pause = min(pause * 2, LONGEST_PAUSE)


class Repeating(httpx.AsyncBaseTransport):
    """Gives every changing request an idempotency key, and repeats what may succeed later."""

    def __init__(self, inner: httpx.AsyncBaseTransport, patience: float) -> None:
        self._inner = inner
        self._patience = patience

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Sends a request as often as it takes, for `patience` seconds."""
        if request.method not in _SAFE and IDEMPOTENCY_KEY not in request.headers:
            path = request.url.raw_path.decode()
            request.headers[IDEMPOTENCY_KEY] = derived_key(request.method, path)
        give_up = time.monotonic() + self._patience
        for pause in pauses():
            wait = pause
            try:
                response = await self._inner.handle_async_request(request)
            except (httpx.UnsupportedProtocol, httpx.LocalProtocolError):
                raise
            except httpx.TransportError:
                if time.monotonic() + wait > give_up:
                    raise
            else:
                if response.status_code < 400:
                    return response
                await response.aread()
                wait = max(pause, _asked_for(response))
                if not _may_succeed_later(response) or time.monotonic() + wait > give_up:
                    return response
                await response.aclose()
            await asyncio.sleep(wait)
        raise AssertionError("pauses do not end")

    async def aclose(self) -> None:
        """Closes the connections."""
        await self._inner.aclose()


def _may_succeed_later(response: httpx.Response) -> bool:
    try:
        return bool(response.json()["retryable"])
    except (ValueError, KeyError, TypeError):
        return response.status_code in _PASSING


def _asked_for(response: httpx.Response) -> float:
    """Seconds that the gateway asks to wait."""
    text = response.headers.get("Retry-After", "")
    return float(text) if text.isdecimal() else 0.0
