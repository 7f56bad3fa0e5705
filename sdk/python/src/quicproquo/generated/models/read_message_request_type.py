from enum import StrEnum

class ReadMessageRequestType(StrEnum):
    READ = "read"

    def __str__(self) -> str:
        return str(self.value)
