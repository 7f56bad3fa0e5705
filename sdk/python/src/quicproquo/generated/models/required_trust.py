from enum import StrEnum

class RequiredTrust(StrEnum):
    VERIFIED = "verified"

    def __str__(self) -> str:
        return str(self.value)
