from enum import StrEnum

class InvitePolicyNonePolicy(StrEnum):
    NONE = "none"

    def __str__(self) -> str:
        return str(self.value)
