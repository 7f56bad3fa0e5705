from enum import StrEnum

class GroupIsolatedEventType(StrEnum):
    GROUP_ISOLATED = "group.isolated"

    def __str__(self) -> str:
        return str(self.value)
