from enum import StrEnum

class FileMessageRequestType(StrEnum):
    FILE = "file"

    def __str__(self) -> str:
        return str(self.value)
