from enum import StrEnum

class GroupJoinedEventType(StrEnum):
    GROUP_JOINED = "group.joined"

    def __str__(self) -> str:
        return str(self.value)
