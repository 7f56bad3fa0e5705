from enum import StrEnum

class MessageUndecryptableEventType(StrEnum):
    MESSAGE_UNDECRYPTABLE = "message.undecryptable"

    def __str__(self) -> str:
        return str(self.value)
