#!/usr/bin/env python3
"""An echo bot: repeats every text, once, whatever is restarted meanwhile.

QPQ_TOKEN  the bot's token
QPQ_URL    the gateway, default http://127.0.0.1:8080
"""

from quicproquo import Bot, Message

bot = Bot("echo")


@bot.on_text
async def echo(message: Message) -> None:
    await message.reply(message.text)


bot.run()
