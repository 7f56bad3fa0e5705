from enum import StrEnum

class TypingMessageType(StrEnum):
    TYPING = "typing"

    def __str__(self) -> str:
        return str(self.value)
