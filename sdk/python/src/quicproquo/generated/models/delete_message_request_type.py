from enum import StrEnum

class DeleteMessageRequestType(StrEnum):
    DELETE = "delete"

    def __str__(self) -> str:
        return str(self.value)
