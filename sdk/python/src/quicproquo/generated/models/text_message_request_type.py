from enum import StrEnum

class TextMessageRequestType(StrEnum):
    TEXT = "text"

    def __str__(self) -> str:
        return str(self.value)
