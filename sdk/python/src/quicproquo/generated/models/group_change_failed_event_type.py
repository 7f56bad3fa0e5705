from enum import StrEnum

class GroupChangeFailedEventType(StrEnum):
    GROUP_CHANGE_FAILED = "group.change_failed"

    def __str__(self) -> str:
        return str(self.value)
