#!/usr/bin/env python3
"""Asks who takes an incident, with reactions: `page the disk is full`.

QPQ_TOKEN    the bot's token
QPQ_URL      the gateway, default http://127.0.0.1:8080
ONCALL       names, in the order in which they are asked, separated by commas
ONCALL_WAIT  seconds before the next one is asked, default 300
ONCALL_DB    where incidents are kept, default ./oncall.db

👀 on a question takes the incident, ✅ closes it.
"""

import asyncio
import os
import sqlite3
import sys
import time

from quicproquo import Bot, Message, Refused

NAMES = [name.strip() for name in os.environ.get("ONCALL", "").split(",") if name.strip()]
WAIT = float(os.environ.get("ONCALL_WAIT", "300"))
TAKE, CLOSE = "👀", "✅"
if not NAMES:
    sys.exit("set ONCALL to the names to be asked, separated by commas")

store = sqlite3.connect(os.environ.get("ONCALL_DB", "oncall.db"))
store.executescript("""
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    CREATE TABLE IF NOT EXISTS incidents (
        id TEXT PRIMARY KEY, group_id TEXT NOT NULL, text TEXT NOT NULL, state TEXT NOT NULL,
        asked INTEGER NOT NULL, next_at REAL NOT NULL) STRICT;
    CREATE TABLE IF NOT EXISTS questions (
        message_id TEXT PRIMARY KEY, incident TEXT NOT NULL) STRICT;
""")

bot = Bot("oncall")
# A reaction is looked at when its question is on disk.
asking = asyncio.Lock()
changed = asyncio.Event()


@bot.on_text
async def page(message: Message) -> None:
    word, _, text = message.text.strip().partition(" ")
    if word.lower() != "page" or not text:
        return
    incident = f"{message.group_id}-{message.sender.identity}-{message.id}"
    with store:
        store.execute(
            "INSERT OR IGNORE INTO incidents VALUES (?, ?, ?, 'open', 0, ?)",
            (incident, message.group_id, f"{text} (says {message.sender_name})", time.time()),
        )
    # From here on it is on disk, and asked about even if this process ends now.
    changed.set()


@bot.on_reaction
async def reacted(message: Message) -> None:
    reaction = message.content["key"]
    if reaction not in (TAKE, CLOSE) or message.content.get("active") is False:
        return
    async with asking:
        found = store.execute(
            "SELECT id, text, state FROM incidents WHERE group_id = ? AND id ="
            " (SELECT incident FROM questions WHERE message_id = ?)",
            (message.group_id, message.about),
        ).fetchone()
    if not found:
        return
    incident, text, state = found
    if reaction == TAKE and state == "open":
        state, answer = "taken", f"{message.sender_name} takes it: {text}"
    elif reaction == CLOSE and state != "closed":
        state, answer = "closed", f"closed by {message.sender_name}: {text}"
    else:
        return
    # Said first: when this process ends between the two, the reaction comes again, and what it
    # says is recognised.
    await message.send(answer)
    with store:
        store.execute("UPDATE incidents SET state = ? WHERE id = ?", (state, incident))


@bot.background
async def ask() -> None:
    while True:
        changed.clear()
        due = store.execute(
            "SELECT id, group_id, text, asked FROM incidents WHERE state = 'open' AND next_at <= ?",
            (time.time(),),
        )
        for incident, group, text, asked in due.fetchall():
            async with asking:
                await ask_next(incident, group, text, asked)
        await wait()


async def ask_next(incident: str, group: str, text: str, asked: int) -> None:
    name = NAMES[asked % len(NAMES)]
    question = f"@{name}: {text}\n{TAKE} takes it, {CLOSE} closes it"
    try:
        said = await bot.client.send(group, question, key=f"oncall-{incident}-{asked}")
    except Refused as error:
        print(f"nobody can be asked: {error}", flush=True)
        with store:
            store.execute("UPDATE incidents SET state = 'lost' WHERE id = ?", (incident,))
        return
    with store:
        store.execute("INSERT OR IGNORE INTO questions VALUES (?, ?)", (said.message_id, incident))
        store.execute(
            "UPDATE incidents SET asked = ?, next_at = ? WHERE id = ?",
            (asked + 1, time.time() + WAIT, incident),
        )


async def wait() -> None:
    """Until the next one is to be asked, or there is another incident."""
    query = "SELECT min(next_at) FROM incidents WHERE state = 'open'"
    (due,) = store.execute(query).fetchone()
    try:
        async with asyncio.timeout(None if due is None else max(0.0, due - time.time())):
            await changed.wait()
    except TimeoutError:
        pass


bot.run()
