from enum import StrEnum

class Profile(StrEnum):
    PLAIN = "plain"
    STANDARD = "standard"

    def __str__(self) -> str:
        return str(self.value)
