from enum import StrEnum

class IdentityChangedEventType(StrEnum):
    IDENTITY_CHANGED = "identity.changed"

    def __str__(self) -> str:
        return str(self.value)
