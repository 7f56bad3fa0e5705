from enum import StrEnum

class EditMessageType(StrEnum):
    EDIT = "edit"

    def __str__(self) -> str:
        return str(self.value)
