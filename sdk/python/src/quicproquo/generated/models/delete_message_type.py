from enum import StrEnum

class DeleteMessageType(StrEnum):
    DELETE = "delete"

    def __str__(self) -> str:
        return str(self.value)
