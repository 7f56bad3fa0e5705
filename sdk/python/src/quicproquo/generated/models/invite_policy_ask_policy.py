from enum import StrEnum

class InvitePolicyAskPolicy(StrEnum):
    ASK = "ask"

    def __str__(self) -> str:
        return str(self.value)
