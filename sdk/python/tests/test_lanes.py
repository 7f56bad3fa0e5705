"""The order in which events are handled, and what is acknowledged."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from quicproquo.lanes import Job, Lanes

Handle = Callable[[dict[str, Any]], Awaitable[None]]


class Recorder:
    """A connection that keeps what is said to it."""

    def __init__(self) -> None:
        self.acknowledged: list[str] = []
        self.extended: list[str] = []

    async def acknowledge(self, delivery_id: str) -> None:
        self.acknowledged.append(delivery_id)

    async def extend(self, delivery_id: str) -> None:
        self.extended.append(delivery_id)


def job(cursor: int, group: str = "a", *, delivery: int = 1, **more: Any) -> Job:
    event = {"type": "message.received", "cursor": str(cursor), "group_id": group} | more
    return Job(f"{cursor}.{delivery}", event)


def lanes(handle: Handle, link: Recorder, **settings: Any) -> Lanes:
    return Lanes(handle, link, **({"lease": 30.0, "patience": 5.0} | settings))


async def deliver(lanes: Lanes, *jobs: Job) -> None:
    for each in jobs:
        await lanes.deliver(each)
    await settled()


async def settled() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def test_groups_go_side_by_side_and_each_in_order() -> None:
    async def scene() -> None:
        link, seen, gate = Recorder(), list[str](), asyncio.Event()

        async def handle(event: dict[str, Any]) -> None:
            if event["cursor"] == "1":
                await gate.wait()
            seen.append(event["cursor"])

        under_test = lanes(handle, link)
        await deliver(under_test, job(1), job(2), job(3, "b"))
        assert seen == ["3"]
        gate.set()
        await settled()
        assert seen == ["3", "1", "2"]
        assert link.acknowledged == ["3.1", "1.1", "2.1"]

    asyncio.run(scene())


def test_what_failed_comes_again_before_what_follows() -> None:
    async def scene() -> None:
        link, seen, broken = Recorder(), list[str](), True

        async def handle(event: dict[str, Any]) -> None:
            seen.append(event["cursor"])
            if broken and event["cursor"] == "1":
                raise RuntimeError("broken")

        under_test = lanes(handle, link)
        await deliver(under_test, job(1), job(2))
        await deliver(under_test, job(3))
        assert (seen, link.acknowledged) == (["1"], [])
        broken = False
        await deliver(under_test, *(job(n, delivery=2, attempt=2) for n in (1, 2, 3)))
        assert seen == ["1", "1", "2", "3"]
        assert link.acknowledged == ["1.2", "2.2", "3.2"]

    asyncio.run(scene())


def test_what_was_set_aside_holds_nothing_up() -> None:
    async def scene() -> None:
        link, seen = Recorder(), list[str]()

        async def handle(event: dict[str, Any]) -> None:
            seen.append(event["cursor"])
            if event["cursor"] == "1":
                raise RuntimeError("broken")

        await deliver(lanes(handle, link), job(1, attempt=10), job(2))
        assert (seen, link.acknowledged) == (["1", "2"], ["2.1"])

    asyncio.run(scene())


def test_a_lost_acknowledgement_is_given_again() -> None:
    async def scene() -> None:
        link, seen = Recorder(), list[str]()

        async def handle(event: dict[str, Any]) -> None:
            seen.append(event["cursor"])

        under_test = lanes(handle, link)
        await deliver(under_test, job(1))
        under_test.disconnected()
        await deliver(under_test, job(1, delivery=2))
        assert (seen, link.acknowledged) == (["1"], ["1.1", "1.2"])
        await deliver(under_test, job(1, delivery=3, replayed=True))
        assert seen == ["1", "1"], "what is asked for again is handled again"

    asyncio.run(scene())


def test_what_runs_while_the_connection_is_lost_is_not_begun_twice() -> None:
    async def scene() -> None:
        link, seen, gate = Recorder(), list[str](), asyncio.Event()

        async def handle(event: dict[str, Any]) -> None:
            seen.append(event["cursor"])
            await gate.wait()

        under_test = lanes(handle, link)
        await deliver(under_test, job(1), job(2))
        under_test.disconnected()
        await deliver(under_test, job(1, delivery=2), job(2, delivery=2))
        gate.set()
        await settled()
        assert seen == ["1", "2"]
        assert link.acknowledged == ["1.2", "2.2"]

    asyncio.run(scene())


def test_what_takes_long_is_extended_and_ends() -> None:
    async def scene() -> None:
        link = Recorder()

        async def handle(event: dict[str, Any]) -> None:
            await asyncio.Event().wait()

        under_test = lanes(handle, link, lease=0.03, patience=0.1)
        await deliver(under_test, job(1))
        await under_test.finish(5.0)
        assert link.extended
        assert link.acknowledged == []

    asyncio.run(scene())


def test_the_end_waits_for_what_has_begun() -> None:
    async def scene() -> None:
        link, seen = Recorder(), list[str]()

        async def handle(event: dict[str, Any]) -> None:
            await asyncio.sleep(0.01)
            seen.append(event["cursor"])

        under_test = lanes(handle, link)
        await deliver(under_test, job(1), job(2))
        await under_test.finish(5.0)
        assert (seen, link.acknowledged) == (["1"], ["1.1"])

    asyncio.run(scene())
