"""A bot: handlers, and what runs them."""

from __future__ import annotations

import asyncio
import logging
import signal
import ssl
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeAlias

from .client import Client
from .errors import AlreadyDone, QuicproquoError, Refused, Unreachable
from .messages import Event, Message, read_message
from .stream import Stream
from .transport import keys_of

log = logging.getLogger("quicproquo")

# For handlers that have begun when the bot is told to stop.
GRACE = 10.0

MessageHandler: TypeAlias = Callable[[Message], Awaitable[object]]
EventHandler: TypeAlias = Callable[[Event], Awaitable[object]]
Background: TypeAlias = Callable[[], Awaitable[object]]


class Bot:
    """Calls handlers for what happens, each event once as far as that can be.

    An event is acknowledged when its handlers have returned. A handler that raises, and a bot or
    gateway that is killed, make it come again; what the handler had sent before is not sent again,
    since requests inside handlers carry idempotency keys that are derived from the event. Events of
    a group are handled in their order, groups side by side.

    Args:
        consumer: Names the bot's place in its event log; programs with the same name share the
            work. A new one begins with what happens from now on.
        url: The gateway; the variable `QPQ_URL`, or `http://127.0.0.1:8080`.
        token: The bot's token; the variable `QPQ_TOKEN`.
        accept_invitations: Whether the bot joins every group it is invited to. Without, decide in a
            handler of `invitation.received`, or accept by another way.
        patience: Seconds that handling one event may take before it counts as failed; `None` for
            ever. While a handler runs, its event is kept from coming again.
        tls: For gateways whose certificate the system does not know.

    Raises:
        ConfigurationError: There is no token, or the URL is none.
    """

    def __init__(
        self,
        consumer: str = "bot",
        *,
        url: str | None = None,
        token: str | None = None,
        accept_invitations: bool = True,
        patience: float | None = 300.0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.consumer = consumer
        self._make_client = partial(Client, url, token, tls=tls)
        self._client: Client | None = None
        self._patience = patience
        self._messages: list[tuple[str | None, MessageHandler]] = []
        self._events: list[tuple[str, EventHandler]] = []
        self._background: list[Background] = []
        self._ready = asyncio.Event()
        if accept_invitations:
            self.on_event("invitation.received")(self._invited)
            self.background(self._accept_pending)

    @property
    def client(self) -> Client:
        """The API, as this bot.

        Raises:
            ConfigurationError: There is no token, or the URL is none.
        """
        if self._client is None:
            self._client = self._make_client()
        return self._client

    # Handlers

    def on_text(self, handler: MessageHandler) -> MessageHandler:
        """Calls the function with each text that somebody else says."""
        return self.on_message("text")(handler)

    def on_file(self, handler: MessageHandler) -> MessageHandler:
        """Calls the function with each file that somebody else sends."""
        return self.on_message("file")(handler)

    def on_reaction(self, handler: MessageHandler) -> MessageHandler:
        """Calls the function with each reaction: `content` has its `key`, and `"active": False`
        when it is taken back; `about` is the message."""
        return self.on_message("reaction")(handler)

    def on_message(self, type_: str | None = None) -> Callable[[MessageHandler], MessageHandler]:
        """Calls the function with each message of a type, or with all of them."""

        def register(handler: MessageHandler) -> MessageHandler:
            self._messages.append((type_, handler))
            return handler

        return register

    def on_event(self, type_: str) -> Callable[[EventHandler], EventHandler]:
        """Calls the function with each event of a type, such as `group.joined`."""

        def register(handler: EventHandler) -> EventHandler:
            self._events.append((type_, handler))
            return handler

        return register

    def background(self, work: Background) -> Background:
        """Runs the function beside the handlers, from the start; the bot ends when it raises.

        What it sends has no idempotency keys derived from an event: give `key` where it matters."""
        self._background.append(work)
        return work

    # Running

    def run(self) -> None:
        """Runs until SIGTERM or SIGINT, and ends the process with 1 and a sentence when it cannot
        go on."""
        if not logging.getLogger().handlers:
            logging.basicConfig(level=logging.INFO, format="%(message)s")
            logging.getLogger("httpx").setLevel(logging.WARNING)
        try:
            asyncio.run(self.serve())
        except QuicproquoError as error:
            sys.exit(f"{self.consumer}: {error}")
        except KeyboardInterrupt:
            # Where signals have no handlers.
            pass

    async def serve(self) -> None:
        """Runs until it is cancelled, or by SIGTERM or SIGINT in the main thread.

        Raises:
            QuicproquoError: It cannot go on.
        """
        client = self.client
        stream = Stream(
            client, self.consumer, self._types(), self._dispatch, patience=self._patience
        )
        tasks = [asyncio.create_task(stream.run(self._connected))]
        tasks += [asyncio.create_task(_run(work)) for work in self._background]
        stopped = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            try:
                loop.add_signal_handler(number, stopped.set)
            except (NotImplementedError, RuntimeError, ValueError):
                log.debug("no handler for %s here", number)
        stopping = asyncio.create_task(stopped.wait())
        pending = {stopping, *tasks}
        try:
            while not stopping.done():
                done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
        finally:
            for task in [stopping, *tasks]:
                task.cancel()
            await asyncio.gather(stopping, *tasks, return_exceptions=True)
            await stream.finish(GRACE)
            await client.close()
            self._client = None

    def _types(self) -> set[str]:
        types = {type_ for type_, _ in self._events}
        if self._messages:
            types.add("message.received")
        return types

    def _connected(self) -> None:
        self._ready.set()
        log.info("listening")

    async def _dispatch(self, frame: dict[str, Any]) -> None:
        """Calls the handlers of an event; raises when one of them fails."""
        event = Event(self.client, frame)
        with keys_of(f"{self.consumer}/{event.cursor}"):
            try:
                for type_, on_event in self._events:
                    if type_ == event.type:
                        await on_event(event)
                if event.type == "message.received":
                    message = Message(self.client, read_message(event.data), event)
                    for wanted, on_message in self._messages:
                        if wanted is None or wanted == message.type:
                            await on_message(message)
            except AlreadyDone as error:
                log.warning("%s had been handled in part, another way: %s", event.cursor, error)

    async def _invited(self, event: Event) -> None:
        await self._accept(event.data["invitation_id"])

    async def _accept_pending(self) -> None:
        """Those that came before the consumer began."""
        await self._ready.wait()
        while True:
            try:
                for invitation in await self.client.invitations():
                    await self._accept(invitation.invitation_id)
            except Unreachable as error:
                log.info("invitations wait: %s", error)
            else:
                return

    async def _accept(self, invitation_id: str) -> None:
        try:
            await self.client.accept(invitation_id)
        except Refused as error:
            # Answered already, or withdrawn.
            if error.kind not in ("invitation-not-found", "group-inactive"):
                raise


async def _run(work: Background) -> None:
    await work()
