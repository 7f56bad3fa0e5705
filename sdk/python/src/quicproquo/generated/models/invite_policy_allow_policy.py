from enum import StrEnum

class InvitePolicyAllowPolicy(StrEnum):
    ALLOW = "allow"

    def __str__(self) -> str:
        return str(self.value)
