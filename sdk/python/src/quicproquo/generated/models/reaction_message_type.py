from enum import StrEnum

class ReactionMessageType(StrEnum):
    REACTION = "reaction"

    def __str__(self) -> str:
        return str(self.value)
