from enum import StrEnum

class GroupNeedsReaddEventType(StrEnum):
    GROUP_NEEDS_READD = "group.needs_readd"

    def __str__(self) -> str:
        return str(self.value)
