from enum import StrEnum

class GroupForkedEventType(StrEnum):
    GROUP_FORKED = "group.forked"

    def __str__(self) -> str:
        return str(self.value)
