"""Files on their way to the gateway: read as they are sent, and again when they are sent again."""

from __future__ import annotations

import asyncio
import mimetypes
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

_CHUNK = 256 * 1024


@dataclass(frozen=True)
class Outgoing:
    """What is uploaded."""

    content: bytes | Path
    name: str
    mime: str

    @classmethod
    def of(cls, source: bytes | str | Path, name: str | None, mime: str | None) -> Outgoing:
        """A file, or bytes, with a name and a media type that are guessed when not given."""
        content = source if isinstance(source, bytes) else Path(source)
        if name is None:
            name = content.name if isinstance(content, Path) else "file"
        if mime is None:
            mime = mimetypes.guess_type(name)[0] or "application/octet-stream"
        return cls(content, name, mime)

    def size(self) -> int:
        """In bytes."""
        if isinstance(self.content, bytes):
            return len(self.content)
        return self.content.stat().st_size

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if isinstance(self.content, bytes):
            yield self.content
            return
        with await asyncio.to_thread(self.content.open, "rb") as file:
            while chunk := await asyncio.to_thread(file.read, _CHUNK):
                yield chunk
