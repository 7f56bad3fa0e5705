from enum import StrEnum

class InvitePolicyAllPolicy(StrEnum):
    ALL = "all"

    def __str__(self) -> str:
        return str(self.value)
