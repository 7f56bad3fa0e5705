from enum import StrEnum

class MessageSentEventType(StrEnum):
    MESSAGE_SENT = "message.sent"

    def __str__(self) -> str:
        return str(self.value)
