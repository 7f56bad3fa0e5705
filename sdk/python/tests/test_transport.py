"""Requests are repeated under one key, for as long as that can help."""

import asyncio
import json
from collections.abc import Callable

import httpx
import pytest

from quicproquo import transport
from quicproquo.transport import IDEMPOTENCY_KEY, Repeating, keys_of

PROBLEM = {
    "type": "urn:quicproquo:problem:x",
    "title": "x",
    "status": 400,
    "instance": "urn:uuid:0",
}
Answer = Callable[[int], httpx.Response]


def problem(status: int, retryable: bool) -> httpx.Response:
    return httpx.Response(status, json=PROBLEM | {"status": status, "retryable": retryable})


def run(answer: Answer, *, patience: float = 60.0, method: str = "POST") -> tuple[int, list[str]]:
    """The final status, and the key of each attempt."""
    keys: list[str] = []

    def handle(request: httpx.Request) -> httpx.Response:
        keys.append(request.headers.get(IDEMPOTENCY_KEY, ""))
        return answer(len(keys))

    async def call() -> int:
        inner = Repeating(httpx.MockTransport(handle), patience)
        async with httpx.AsyncClient(transport=inner) as client:
            return (await client.request(method, "http://gateway/v1/x", json={})).status_code

    return asyncio.run(call()), keys


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "FIRST_PAUSE", 0.001)


def raising(error: httpx.TransportError) -> httpx.Response:
    raise error


def test_a_request_keeps_its_key_while_it_is_repeated() -> None:
    answers: dict[int, Callable[[], httpx.Response]] = {
        1: lambda: raising(httpx.ConnectError("refused")),
        2: lambda: raising(httpx.ReadError("cut off")),
        3: lambda: problem(503, retryable=True),
        4: lambda: httpx.Response(502, text="a proxy's page"),
        5: lambda: httpx.Response(201),
    }
    status, keys = run(lambda attempt: answers[attempt]())
    assert status == 201
    assert len(keys) == 5
    assert len(set(keys)) == 1
    assert keys[0]


@pytest.mark.parametrize("status", [400, 403, 404, 409, 500])
def test_what_cannot_succeed_is_not_repeated(status: int) -> None:
    assert len(run(lambda _: problem(status, retryable=False))[1]) == 1


def test_patience_ends() -> None:
    with pytest.raises(httpx.ConnectError):
        run(lambda _: raising(httpx.ConnectError("refused")), patience=0.01)
    status, keys = run(lambda _: problem(503, retryable=True), patience=0.5)
    assert status == 503
    assert len(keys) > 1


def test_reading_needs_no_key() -> None:
    assert run(lambda _: httpx.Response(200), method="GET") == (200, [""])


def test_the_same_event_makes_the_same_keys() -> None:
    def handled() -> list[str]:
        with keys_of("bot/c1_5"):
            return [
                transport.derived_key("POST", "/a"),
                transport.derived_key("POST", "/a"),
                transport.derived_key("PUT", "/a"),
            ]

    first = handled()
    assert len(set(first)) == 3
    assert handled() == first
    with keys_of("bot/c1_6"):
        assert transport.derived_key("POST", "/a") not in first
    assert transport.derived_key("POST", "/a") != transport.derived_key("POST", "/a")


def test_a_key_of_the_caller_is_kept() -> None:
    seen: list[str] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers[IDEMPOTENCY_KEY])
        return httpx.Response(200, text=json.dumps({}))

    async def call() -> None:
        async with httpx.AsyncClient(transport=Repeating(httpx.MockTransport(handle), 1)) as client:
            await client.post("http://gateway/v1/x", headers={IDEMPOTENCY_KEY: "mine"})

    asyncio.run(call())
    assert seen == ["mine"]
