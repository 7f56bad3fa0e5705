from enum import StrEnum

class GroupRepairedEventType(StrEnum):
    GROUP_REPAIRED = "group.repaired"

    def __str__(self) -> str:
        return str(self.value)
