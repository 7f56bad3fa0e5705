#!/usr/bin/env python3
"""Reminds: `remind me in 10m to stretch` (s, m, h, d).

QPQ_TOKEN     the bot's token
QPQ_URL       the gateway, default http://127.0.0.1:8080
REMINDERS_DB  where reminders are kept, default ./reminders.db

How nothing is lost: a message is acknowledged when its handler returns, and the handler returns
when the reminder is on disk. Killed before, the message comes again; killed after, the reminder is
there. How nothing is said twice: each reminder is a row named after its message, and is sent under
a key with that name.
"""

import asyncio
import os
import re
import sqlite3
import time
from datetime import UTC, datetime

from quicproquo import Bot, Message, Refused

ASKED = re.compile(r"remind me in (\d{1,9}) ?([smhd]) (?:to )?(.+)", re.IGNORECASE | re.DOTALL)
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
LONGEST = 366 * SECONDS["d"]

store = sqlite3.connect(os.environ.get("REMINDERS_DB", "reminders.db"))
store.execute("PRAGMA journal_mode = WAL")
store.execute("PRAGMA synchronous = FULL")
store.execute(
    "CREATE TABLE IF NOT EXISTS reminders (id TEXT PRIMARY KEY, due REAL NOT NULL,"
    " group_id TEXT NOT NULL, message_id TEXT NOT NULL, text TEXT NOT NULL) STRICT"
)

bot = Bot("reminder")
changed = asyncio.Event()


@bot.on_text
async def remember(message: Message) -> None:
    asked = ASKED.fullmatch(message.text.strip())
    if not asked:
        return
    seconds = int(asked[1]) * SECONDS[asked[2].lower()]
    if seconds > LONGEST:
        await message.reply("I do not look further ahead than a year")
        return
    # By the time of the message: the same when the message comes again.
    due = message.model.received_at.timestamp() + seconds
    row = f"{message.group_id}-{message.sender.identity}-{message.id}"
    with store:
        store.execute(
            "INSERT OR IGNORE INTO reminders VALUES (?, ?, ?, ?, ?)",
            (row, due, message.group_id, message.id, f"{message.sender_name}: {asked[3]}"),
        )
    changed.set()
    await message.reply(f"I will, at {datetime.fromtimestamp(due, UTC):%Y-%m-%d %H:%M:%S} UTC")


@bot.background
async def remind() -> None:
    while True:
        changed.clear()
        rows = store.execute(
            "SELECT id, due, group_id, message_id, text FROM reminders ORDER BY due"
        )
        for row, due, group, message, text in rows.fetchall():
            if due > time.time():
                break
            try:
                await bot.client.send(group, text, reply_to=message, key=f"reminder-{row}")
            except Refused as error:
                print(f"a reminder cannot be given: {error}", flush=True)
            with store:
                store.execute("DELETE FROM reminders WHERE id = ?", (row,))
        await wait()


async def wait() -> None:
    """Until the next one is due, or there is another one."""
    (due,) = store.execute("SELECT min(due) FROM reminders").fetchone()
    pause = None if due is None else max(0.0, due - time.time())
    try:
        async with asyncio.timeout(pause):
            await changed.wait()
    except TimeoutError:
        pass


bot.run()
