"""Bots for quicproquo, end-to-end encrypted group messaging, over its gateway.

    from quicproquo import Bot, Message

    bot = Bot("parrot")

    @bot.on_text
    async def repeat(message: Message) -> None:
        await message.reply(message.text)

    bot.run()

`quicproquo.generated` is the client of the whole API, made from its OpenAPI description.
"""

from .bot import Bot
from .client import Client, settle
from .errors import AlreadyDone, ConfigurationError, QuicproquoError, Refused, Unreachable
from .messages import AnyMessage, Event, Message
from .stream import Stream, StreamEnded

__all__ = [
    "AlreadyDone",
    "AnyMessage",
    "Bot",
    "Client",
    "ConfigurationError",
    "Event",
    "Message",
    "QuicproquoError",
    "Refused",
    "Stream",
    "StreamEnded",
    "Unreachable",
    "settle",
]
