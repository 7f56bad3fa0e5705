#!/usr/bin/env python3
"""Joins two groups of one bot: what is said in one is told in the other, texts and files.

QPQ_TOKEN      the bot's token
QPQ_URL        the gateway, default http://127.0.0.1:8080
BRIDGE_GROUPS  the ids of the two groups, separated by a comma
"""

import os
import sys

from quicproquo import Bot, Message

ids = [name.strip() for name in os.environ.get("BRIDGE_GROUPS", "").split(",")]
if len(ids) != 2 or not all(ids) or ids[0] == ids[1]:
    sys.exit("set BRIDGE_GROUPS to the ids of two groups, separated by a comma")
ACROSS = {ids[0]: ids[1], ids[1]: ids[0]}

bot = Bot("bridge")


@bot.on_text
async def tell(message: Message) -> None:
    if other := ACROSS.get(message.group_id):
        await bot.client.send(other, f"{message.sender_name}: {message.text}")


@bot.on_file
async def carry(message: Message) -> None:
    if other := ACROSS.get(message.group_id):
        name = message.file.get("name") or "file"
        caption = f"{message.sender_name}: {message.text or name}"
        await bot.client.send_file(
            other,
            await message.download(),
            name=name,
            mime=message.file.get("mime"),
            caption=caption,
        )


bot.run()
