"""Against a running gateway: QPQ_URL, and QPQ_ADMIN_TOKEN to make bots with."""

import asyncio
import contextlib
import os
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import httpx
import pytest

from quicproquo import Bot, Client, ConfigurationError, Event, Message, Refused, Unreachable, settle
from quicproquo.generated.api.events import list_consumers, list_events
from quicproquo.generated.models import EventList, FileMessage, MessageReceivedEvent, TextMessage
from quicproquo.generated.types import UNSET

URL = os.environ.get("QPQ_URL", "")
ADMIN = os.environ.get("QPQ_ADMIN_TOKEN", "")
pytestmark = pytest.mark.skipif(not ADMIN, reason="no gateway")


def make(name: str) -> tuple[Client, str]:
    """A new bot's client, and its identity."""
    answer = httpx.post(
        f"{URL}/v1/bots",
        headers={"Authorization": f"Bearer {ADMIN}"},
        json={"name": f"{name}-{uuid.uuid4().hex[:8]}"},
        timeout=30,
    )
    answer.raise_for_status()
    return Client(URL, answer.json()["token"]), answer.json()["identity"]


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(30):
        while not await condition():  # noqa: ASYNC110
            await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def serving(bot: Bot) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(bot.serve())
    try:
        yield task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


class Ear:
    """What a bot hears, from now on."""

    def __init__(self, client: Client, cursor: str) -> None:
        self.client = client
        self.cursor = cursor
        self.messages: list[TextMessage | FileMessage] = []

    @classmethod
    async def of(cls, client: Client) -> "Ear":
        page = await cls._page(client, None)
        assert page.next_
        return cls(client, page.next_)

    @staticmethod
    async def _page(client: Client, after: str | None) -> EventList:
        call = list_events.asyncio_detailed(client=client.api, timeout=0, after=after or UNSET)
        page = await settle(call)
        assert isinstance(page, EventList)
        return page

    async def hears(self, count: int) -> bool:
        page = await self._page(self.client, self.cursor)
        self.cursor = page.next_ or self.cursor
        for event in page.items:
            if isinstance(event, MessageReceivedEvent):
                assert isinstance(event.data, TextMessage | FileMessage)
                self.messages.append(event.data)
        return len(self.messages) >= count

    def texts(self) -> list[str]:
        return [m.content.body for m in self.messages if isinstance(m, TextMessage)]


async def group_of(alice: Client, identity: str, name: str = "pair") -> str:
    return (await alice.create_group(name, [identity])).group_id


def bot_of(client: Client) -> Bot:
    return Bot("test", url=client.url, token=client.token)


def test_a_handler_that_fails_is_called_again_and_says_nothing_twice(tmp_path: Path) -> None:
    async def scene() -> None:
        (alice, _), (client, identity) = make("alice"), make("bot")
        # Before the bot has ever run: it accepts what is pending.
        group = await group_of(alice, identity)
        ear = await Ear.of(alice)
        calls: list[str] = []
        bot = bot_of(client)

        @bot.on_text
        async def answer(message: Message) -> None:
            calls.append(message.text)
            await message.reply(f"first to {message.text}")
            if len(calls) == 1:
                raise RuntimeError("after the first half")
            await message.reply(f"second to {message.text}")

        async def joined() -> bool:
            return any(g.group_id == group for g in await client.groups())

        async with serving(bot):
            await until(joined)
            await alice.send(group, "hello")
            await until(lambda: ear.hears(1))
        assert calls == ["hello"]
        # A new connection gets at once what was not acknowledged.
        async with serving(bot):
            await until(lambda: ear.hears(2))
            await alice.send(group, "bye")
            await until(lambda: ear.hears(4))
        assert ear.texts() == [
            "first to hello",
            "second to hello",
            "first to bye",
            "second to bye",
        ]
        assert calls == ["hello", "hello", "bye"]
        consumers = (await settle(list_consumers.asyncio_detailed(client=client.api))).items
        assert [consumer.name for consumer in consumers] == ["test"]

    asyncio.run(scene())


def test_files_reactions_and_own_types(tmp_path: Path) -> None:
    async def scene() -> None:
        (alice, _), (client, identity) = make("alice"), make("bot")
        ear = await Ear.of(alice)
        bot = bot_of(client)
        heard: list[object] = []
        big = os.urandom(3_000_000)
        source = tmp_path / "größe.bin"
        source.write_bytes(big)

        @bot.on_file
        async def back(message: Message) -> None:
            await message.save(tmp_path / "saved")
            assert await message.download() == big
            assert (message.text, message.file["name"]) == ("look", source.name)
            await message.reply_file(b"small", name="small.txt", caption="yours")

        @bot.on_reaction
        async def reaction(message: Message) -> None:
            heard.append((message.content["key"], message.about))

        @bot.on_message("org.example.move")
        async def own(message: Message) -> None:
            heard.append(message.content)
            await message.react("♟")

        @bot.on_event("group.joined")
        async def joined(event: Event) -> None:
            heard.append(type(event.model()).__name__)

        async with serving(bot):
            group = await group_of(alice, identity)
            await alice.send_file(group, source, caption="look")
            await until(lambda: ear.hears(1))
            [file] = ear.messages
            assert isinstance(file, FileMessage)
            assert file.relates_to
            assert file.content["mime"] == "text/plain"
            assert await alice.download(file.content["attachment_id"]) == b"small"
            await alice.react(group, file.message_id, "👍")
            await alice.send_own(group, "org.example.move", {"from": "e2"})

            async def all_heard() -> bool:
                return len(heard) == 3

            await until(all_heard)
        assert (tmp_path / "saved").read_bytes() == big
        assert not (tmp_path / "saved.part").exists()
        assert heard == ["GroupJoinedEvent", ("👍", file.message_id), {"from": "e2"}]

    asyncio.run(scene())


def test_sends_are_done_once_and_refusals_say_why() -> None:
    async def scene() -> None:
        (alice, _), (_, identity) = make("alice"), make("bot")
        group = await group_of(alice, identity)
        first = await alice.send(group, "once", key="k")
        assert (await alice.send(group, "once", key="k")).message_id == first.message_id
        edited = await alice.edit(group, first.message_id, "changed")
        assert isinstance(edited, TextMessage)
        assert edited.content.body == "changed"
        await alice.delete(group, first.message_id)
        with pytest.raises(Refused, match="group-not-found") as refused:
            await alice.send("0" * 64, "nobody")
        assert refused.value.problem.status == 404
        with pytest.raises(Refused, match="attachment-not-found"):
            await alice.save("0" * 32, "/nonexistent/file")

    asyncio.run(scene())


def test_what_is_wrong_is_said() -> None:
    async def scene() -> None:
        with pytest.raises(Refused, match="token-invalid"):
            await Bot(url=URL, token="qpq_wrong").serve()
        with pytest.raises(Unreachable, match="does not answer"):
            await Client("http://127.0.0.1:1", "qpq_x", patience=0).me()

    asyncio.run(scene())


def test_settings_are_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("QPQ_TOKEN", raising=False)
    with pytest.raises(ConfigurationError, match="QPQ_TOKEN"):
        Client(URL)
    with pytest.raises(ConfigurationError, match="QPQ_URL"):
        Client("localhost:8080", "qpq_x")
    with pytest.raises(SystemExit, match="QPQ_TOKEN"):
        Bot(url=URL).run()
