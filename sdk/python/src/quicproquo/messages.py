"""Messages and events as handlers get them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from .generated import models
from .generated.models import (
    DeletedMessage,
    DeleteMessage,
    EditMessage,
    FileMessage,
    Identity,
    OwnMessage,
    ReactionMessage,
    ReadMessage,
    TextMessage,
    TypingMessage,
)

if TYPE_CHECKING:
    from .client import Client

AnyMessage: TypeAlias = (
    TextMessage
    | FileMessage
    | ReactionMessage
    | EditMessage
    | DeleteMessage
    | ReadMessage
    | TypingMessage
    | DeletedMessage
    | OwnMessage
)

_READERS: dict[str, Callable[[Any], AnyMessage]] = {
    "text": TextMessage.from_dict,
    "file": FileMessage.from_dict,
    "reaction": ReactionMessage.from_dict,
    "edit": EditMessage.from_dict,
    "delete": DeleteMessage.from_dict,
    "read": ReadMessage.from_dict,
    "typing": TypingMessage.from_dict,
    "deleted": DeletedMessage.from_dict,
}


def read_message(data: dict[str, Any]) -> AnyMessage:
    """The message in the JSON of an event or an answer."""
    reader = _READERS.get(data["type"])
    return reader(data) if reader else OwnMessage.from_dict(data)


class Event:
    """Something that happened, as it is in the log.

    Attributes:
        type: Such as `group.joined`.
        cursor: Its place in the log.
        group_id: The group it is about, if any.
        data: The JSON of the event's `data`; `model()` has it typed.
        attempt: 1, and more when it comes again.
        replayed: Whether it was asked for again.
    """

    def __init__(self, client: Client, frame: dict[str, Any]) -> None:
        self.client = client
        self.type: str = frame["type"]
        self.cursor: str = frame["cursor"]
        self.group_id: str | None = frame.get("group_id")
        self.data: dict[str, Any] = frame["data"]
        self.attempt: int = frame.get("attempt", 1)
        self.replayed: bool = bool(frame.get("replayed"))
        self._frame = frame

    def model(self) -> Any:
        """The generated model of this event, such as `GroupJoinedEvent` for `group.joined`.

        Raises:
            LookupError: This version of the package does not know the type.
        """
        words = self.type.replace(".", "_").split("_")
        name = "".join(word.capitalize() for word in words) + "Event"
        model = getattr(models, name, None)
        if model is None:
            raise LookupError(f"no model for events of the type {self.type}")
        return model.from_dict(self._frame)


class Message:
    """A message of somebody else, with what a bot does about it.

    Attributes:
        model: The generated model, with every field.
        event: The event that brought it.
    """

    def __init__(self, client: Client, model: AnyMessage, event: Event) -> None:
        self.client = client
        self.model = model
        self.event = event

    @property
    def id(self) -> str:
        """Chosen by its sender: unique only together with group and sender."""
        return self.model.message_id

    @property
    def group_id(self) -> str:
        """The group it was said in."""
        return self.model.group_id

    @property
    def sender(self) -> Identity:
        """Who said it: `identity`, and `name` when it has one."""
        return self.model.sender

    @property
    def sender_name(self) -> str:
        """The sender's name, or the beginning of its identity."""
        return self.sender.name or self.sender.identity[:8]

    @property
    def type(self) -> str:
        """`text`, `file`, `reaction` and so on, or a type of your own."""
        return str(self.model.type_)

    @property
    def content(self) -> Any:
        """The content as JSON."""
        return self.model.to_dict()["content"]

    @property
    def text(self) -> str:
        """The text of a text, the caption of a file; empty otherwise."""
        if isinstance(self.model, TextMessage):
            return self.model.content.body
        if isinstance(self.model, FileMessage):
            return str(self.content.get("caption") or "")
        return ""

    @property
    def about(self) -> str | None:
        """The id of the message that this one answers or changes."""
        relation = self.model.relates_to
        return relation.message_id if relation else None

    @property
    def file(self) -> dict[str, Any]:
        """Of a file: `attachment_id`, `name`, `mime`, `size`. What the sender says: look before
        you trust it. Empty for other types."""
        return dict(self.content) if isinstance(self.model, FileMessage) else {}

    async def send(self, text: str, *, key: str | None = None) -> AnyMessage:
        """Says something in the same group."""
        return await self.client.send(self.group_id, text, key=key)

    async def reply(self, text: str, *, key: str | None = None) -> AnyMessage:
        """Answers this message."""
        return await self.client.send(self.group_id, text, reply_to=self.id, key=key)

    async def reply_file(
        self,
        source: bytes | str | Path,
        *,
        name: str | None = None,
        mime: str | None = None,
        caption: str | None = None,
        key: str | None = None,
    ) -> AnyMessage:
        """Answers this message with a file (a path) or bytes."""
        return await self.client.send_file(
            self.group_id,
            source,
            name=name,
            mime=mime,
            caption=caption,
            reply_to=self.id,
            key=key,
        )

    async def react(self, reaction: str, *, key: str | None = None) -> None:
        """Reacts to this message."""
        await self.client.react(self.group_id, self.id, reaction, key=key)

    async def mark_read(self) -> None:
        """Says that the bot has read up to here."""
        await self.client.mark_read(self.group_id, self.id)

    async def download(self) -> bytes:
        """The bytes of a file."""
        return await self.client.download(self.file["attachment_id"])

    async def save(self, path: str | Path) -> None:
        """Writes a file to a path."""
        await self.client.save(self.file["attachment_id"], path)
