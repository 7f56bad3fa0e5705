from enum import StrEnum

class EditMessageRequestType(StrEnum):
    EDIT = "edit"

    def __str__(self) -> str:
        return str(self.value)
