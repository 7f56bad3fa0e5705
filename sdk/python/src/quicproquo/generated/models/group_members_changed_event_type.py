from enum import StrEnum

class GroupMembersChangedEventType(StrEnum):
    GROUP_MEMBERS_CHANGED = "group.members_changed"

    def __str__(self) -> str:
        return str(self.value)
