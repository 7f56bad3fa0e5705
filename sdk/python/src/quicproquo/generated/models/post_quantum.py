from enum import StrEnum

class PostQuantum(StrEnum):
    ENVELOPE = "envelope"
    NATIVE = "native"

    def __str__(self) -> str:
        return str(self.value)
