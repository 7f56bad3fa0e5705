from enum import StrEnum

class DeletedMessageType(StrEnum):
    DELETED = "deleted"

    def __str__(self) -> str:
        return str(self.value)
