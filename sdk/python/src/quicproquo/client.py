"""The gateway's API for one bot: the generated client, with what bots do most at hand."""

from __future__ import annotations

import os
import ssl
from collections.abc import Awaitable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar, cast
from urllib.parse import quote, urlsplit

import httpx

from .errors import ConfigurationError, QuicproquoError, Unreachable, refusal
from .files import Outgoing
from .generated import AuthenticatedClient
from .generated import errors as generated_errors
from .generated.api.groups import create_group, list_groups
from .generated.api.invitations import accept_invitation, decline_invitation, list_invitations
from .generated.api.me import get_me
from .generated.api.members import list_members
from .generated.api.messages import (
    delete_message,
    delete_reaction,
    edit_message,
    put_reaction,
    put_read,
    put_typing,
    send_message,
)
from .generated.models import (
    Attachment,
    Change,
    FileContent,
    FileMessageRequest,
    FileMessageRequestType,
    Group,
    GroupRequest,
    Invitation,
    Me,
    Member,
    MessageEdit,
    OwnMessageRequest,
    Problem,
    ReadMarker,
    TextContent,
    TextMessageRequest,
    TextMessageRequestType,
    Typing,
)
from .generated.types import UNSET, Response, Unset
from .messages import AnyMessage
from .transport import IDEMPOTENCY_KEY, Repeating

DEFAULT_URL = "http://127.0.0.1:8080"
_TIMEOUT = httpx.Timeout(75.0, connect=10.0)

T = TypeVar("T")


async def settle(call: Awaitable[Response[T | Problem]]) -> T:
    """What a generated function answers, or the exception for what went wrong.

    Raises:
        Refused: The gateway answered with a problem.
        Unreachable: It did not answer.
        QuicproquoError: The answer cannot be read.
    """
    try:
        parsed = (await call).parsed
    except generated_errors.UnexpectedStatus as error:
        raise Unreachable(f"this is no gateway, or something is in front of it: {error}") from error
    except httpx.TransportError as error:
        raise Unreachable(
            f"the gateway does not answer: {error or type(error).__name__}"
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        reason = f"the gateway's answer is none that this version knows: {error!r}"
        raise QuicproquoError(reason) from error
    if isinstance(parsed, Problem):
        raise refusal(parsed)
    # None stands for a status without a body, whose T it is.
    return cast(T, parsed)


async def _done(call: Awaitable[Response[Any]]) -> None:
    """As `settle`, when there is nothing to answer."""
    await settle(call)


class Client:
    """The API as one bot sees it.

    Every changing request carries an `Idempotency-Key` and is repeated, under the same key, until
    the gateway has answered for good: it is done once. Give `key` to choose it; inside a handler it
    is derived from the event otherwise.

    Args:
        url: The gateway; the variable `QPQ_URL`, or `http://127.0.0.1:8080`.
        token: The bot's token; the variable `QPQ_TOKEN`.
        patience: For how many seconds a request is repeated.
        tls: For gateways whose certificate the system does not know.

    Raises:
        ConfigurationError: There is no token, or the URL is none.
    """

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        *,
        patience: float = 60.0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.url = (url or os.environ.get("QPQ_URL") or DEFAULT_URL).rstrip("/")
        self.token = (token or os.environ.get("QPQ_TOKEN") or "").strip()
        self.tls = tls
        if urlsplit(self.url).scheme not in ("http", "https"):
            raise ConfigurationError(f"QPQ_URL is no http or https address: {self.url}")
        if not self.token:
            raise ConfigurationError(
                "set QPQ_TOKEN to the bot's token (`POST /v1/bots` shows it once)"
            )
        inner = httpx.AsyncHTTPTransport(verify=True if tls is None else tls)
        self.api = AuthenticatedClient(
            base_url=self.url,
            token=self.token,
            timeout=_TIMEOUT,
            raise_on_unexpected_status=True,
            httpx_args={"transport": Repeating(inner, patience)},
        )
        """The generated client, for every route that has no method here:
        `await settle(get_group.asyncio_detailed(id, client=client.api))`."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the connections."""
        await self.api.get_async_httpx_client().aclose()

    async def me(self) -> Me:
        """Which bot this is, and what its token may do."""
        return await settle(get_me.asyncio_detailed(client=self.api))

    # Messages

    async def send(
        self,
        group_id: str,
        text: str,
        *,
        reply_to: str | None = None,
        key: str | None = None,
    ) -> AnyMessage:
        """Sends a text, at most 64 KiB. When this answers, the message is durable."""
        body = TextMessageRequest(
            content=TextContent(body=text),
            type_=TextMessageRequestType.TEXT,
            reply_to=_optional(reply_to),
        )
        return await self._send(group_id, body, key)

    async def send_own(
        self,
        group_id: str,
        type_: str,
        content: Any,
        *,
        reply_to: str | None = None,
        key: str | None = None,
    ) -> AnyMessage:
        """Sends a message of a type of your own (`com.example.move`) with any JSON as content."""
        body = OwnMessageRequest(type_=type_, content=content, reply_to=_optional(reply_to))
        return await self._send(group_id, body, key)

    async def send_file(
        self,
        group_id: str,
        source: bytes | str | Path,
        *,
        name: str | None = None,
        mime: str | None = None,
        caption: str | None = None,
        reply_to: str | None = None,
        key: str | None = None,
    ) -> AnyMessage:
        """Uploads a file (a path) or bytes, at most 100 MiB, and sends it."""
        uploaded = await self.upload(source, name=name, mime=mime, key=key and f"{key}/upload")
        content = FileContent(attachment_id=uploaded.attachment_id)
        if caption is not None:
            content["caption"] = caption
        body = FileMessageRequest(
            content=content, type_=FileMessageRequestType.FILE, reply_to=_optional(reply_to)
        )
        return await self._send(group_id, body, key)

    async def _send(
        self,
        group_id: str,
        body: TextMessageRequest | OwnMessageRequest | FileMessageRequest,
        key: str | None,
    ) -> AnyMessage:
        call = send_message.asyncio_detailed(
            group_id, client=self.api, body=body, idempotency_key=_optional(key)
        )
        return await settle(call)

    async def edit(
        self, group_id: str, message_id: str, text: str, *, key: str | None = None
    ) -> AnyMessage:
        """Changes an own text."""
        call = edit_message.asyncio_detailed(
            group_id,
            message_id,
            client=self.api,
            body=MessageEdit(content=TextContent(body=text).to_dict()),
            idempotency_key=_optional(key),
        )
        return await settle(call)

    async def delete(self, group_id: str, message_id: str, *, key: str | None = None) -> AnyMessage:
        """Deletes an own message for everybody."""
        call = delete_message.asyncio_detailed(
            group_id, message_id, client=self.api, idempotency_key=_optional(key)
        )
        return await settle(call)

    async def react(
        self, group_id: str, message_id: str, reaction: str, *, key: str | None = None
    ) -> None:
        """Reacts to a message with an emoji or a short text."""
        call = put_reaction.asyncio_detailed(
            group_id, message_id, reaction, client=self.api, idempotency_key=_optional(key)
        )
        await _done(call)

    async def unreact(
        self, group_id: str, message_id: str, reaction: str, *, key: str | None = None
    ) -> None:
        """Takes a reaction back."""
        call = delete_reaction.asyncio_detailed(
            group_id, message_id, reaction, client=self.api, idempotency_key=_optional(key)
        )
        await _done(call)

    async def mark_read(self, group_id: str, message_id: str) -> None:
        """Says how far the bot has read."""
        body = ReadMarker(message_id=message_id)
        await _done(put_read.asyncio_detailed(group_id, client=self.api, body=body))

    async def typing(self, group_id: str, active: bool = True) -> None:
        """Says that the bot writes, for the next 30 seconds, or that it has stopped."""
        body = Typing(active=active)
        await _done(put_typing.asyncio_detailed(group_id, client=self.api, body=body))

    # Files

    async def upload(
        self,
        source: bytes | str | Path,
        *,
        name: str | None = None,
        mime: str | None = None,
        key: str | None = None,
    ) -> Attachment:
        """Uploads a file (a path) or bytes; the answer's `attachment_id` can be sent.

        Raises:
            OSError: The file cannot be read.
        """
        file = Outgoing.of(source, name, mime)
        headers = {"Content-Type": file.mime, "Content-Length": str(file.size())}
        if key is not None:
            headers[IDEMPOTENCY_KEY] = key
        request = self.api.get_async_httpx_client().request(
            "POST", "/v1/attachments", params={"filename": file.name}, headers=headers, content=file
        )
        return await settle(_read(request, Attachment.from_dict))

    async def download(self, attachment_id: str) -> bytes:
        """A received file."""
        path = f"/v1/attachments/{quote(attachment_id, safe='')}"
        request = self.api.get_async_httpx_client().get(path)
        return await settle(_read(request, None))

    async def save(self, attachment_id: str, path: str | Path) -> None:
        """Writes a received file to a path. What is there already is replaced, and only by a
        file that is whole.

        Raises:
            OSError: The file cannot be written.
        """
        path = Path(path)
        part = path.with_name(path.name + ".part")
        try:
            await settle(self._fetch(attachment_id, part))
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)

    async def _fetch(self, attachment_id: str, path: Path) -> Response[Path | Problem]:
        address = f"/v1/attachments/{quote(attachment_id, safe='')}"
        async with self.api.get_async_httpx_client().stream("GET", address) as response:
            if response.is_error:
                await response.aread()
                return _answer(response, None)
            with path.open("wb") as file:
                async for chunk in response.aiter_bytes():
                    file.write(chunk)
        return _answer(response, path)

    # Groups

    async def groups(self) -> list[Group]:
        """The groups the bot is or was in; `state` says which."""
        return (await settle(list_groups.asyncio_detailed(client=self.api))).items

    async def create_group(
        self, name: str, members: Iterable[str] = (), *, key: str | None = None
    ) -> Group:
        """Creates a group and invites members by their identities or names."""
        body = GroupRequest(name=name, members=list(members))
        call = create_group.asyncio_detailed(
            client=self.api, body=body, idempotency_key=_optional(key)
        )
        created: Group | Change = await settle(call)
        # A change is durable here and on its way to the node.
        return created.group if isinstance(created, Change) else created

    async def members(self, group_id: str) -> list[Member]:
        """Who is in a group."""
        return (await settle(list_members.asyncio_detailed(group_id, client=self.api))).items

    async def invitations(self) -> list[Invitation]:
        """Invitations that are not answered yet."""
        return (await settle(list_invitations.asyncio_detailed(client=self.api))).items

    async def accept(self, invitation_id: str) -> Group:
        """Accepts an invitation."""
        return await settle(accept_invitation.asyncio_detailed(invitation_id, client=self.api))

    async def decline(self, invitation_id: str) -> None:
        """Declines an invitation."""
        await _done(decline_invitation.asyncio_detailed(invitation_id, client=self.api))


def _optional(value: str | None) -> str | Unset:
    return UNSET if value is None else value


async def _read(request: Awaitable[httpx.Response], model: Any) -> Response[Any]:
    """An answer to a request that is not made by the generated code."""
    response = await request
    if response.is_error:
        return _answer(response, None)
    return _answer(response, response.content if model is None else model(response.json()))


def _answer(response: httpx.Response, parsed: Any) -> Response[Any]:
    if response.is_error:
        try:
            parsed = Problem.from_dict(response.json())
        except (ValueError, KeyError, TypeError):
            raise generated_errors.UnexpectedStatus(
                response.status_code, response.content
            ) from None
    return Response(
        status_code=httpx.codes(response.status_code),  # type: ignore[arg-type]
        content=b"",
        headers=response.headers,
        parsed=parsed,
    )
