from enum import StrEnum

class ReactionMessageRequestType(StrEnum):
    REACTION = "reaction"

    def __str__(self) -> str:
        return str(self.value)
