from enum import StrEnum

class SessionDisplacedEventType(StrEnum):
    SESSION_DISPLACED = "session.displaced"

    def __str__(self) -> str:
        return str(self.value)
