from enum import StrEnum

class ReadMessageType(StrEnum):
    READ = "read"

    def __str__(self) -> str:
        return str(self.value)
