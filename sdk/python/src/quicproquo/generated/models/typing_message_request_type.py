from enum import StrEnum

class TypingMessageRequestType(StrEnum):
    TYPING = "typing"

    def __str__(self) -> str:
        return str(self.value)
