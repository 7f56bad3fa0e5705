#!/usr/bin/env python3
"""Keeps files for a group: send one and it is kept, `list` shows all, `get NAME` brings one back.

QPQ_TOKEN  the bot's token
QPQ_URL    the gateway, default http://127.0.0.1:8080
FILES_DIR  where files are kept, default ./files
"""

import asyncio
import hashlib
import os
import re
from pathlib import Path

from quicproquo import Bot, Message

ROOT = Path(os.environ.get("FILES_DIR", "files"))

bot = Bot("files")


def folder(message: Message) -> Path:
    """Every group has its own."""
    path = ROOT / message.group_id
    path.mkdir(parents=True, exist_ok=True)
    return path


def safe(name: str) -> str:
    """A name that is a file's own, whatever the sender calls it."""
    return re.sub(r"[^\w.-]+", "_", Path(name).name).lstrip(".")[:100] or "file"


@bot.on_file
async def keep(message: Message) -> None:
    path = folder(message) / safe(message.file.get("name") or "")
    await message.save(path)
    digest = await asyncio.to_thread(sha256, path)
    await message.reply(f"kept {path.name}: {path.stat().st_size} bytes, SHA-256 {digest}")


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@bot.on_text
async def answer(message: Message) -> None:
    word, _, name = message.text.strip().partition(" ")
    if word == "list":
        names = sorted(path.name for path in folder(message).iterdir())
        await message.reply("\n".join(names) or "there are no files yet")
    elif word == "get":
        path = folder(message) / safe(name)
        if path.is_file():
            await message.reply_file(path, caption=f"as kept: {path.name}")
        else:
            await message.reply(f"there is no {path.name}; `list` shows what there is")


bot.run()
