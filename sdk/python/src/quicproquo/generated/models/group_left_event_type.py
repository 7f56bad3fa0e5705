from enum import StrEnum

class GroupLeftEventType(StrEnum):
    GROUP_LEFT = "group.left"

    def __str__(self) -> str:
        return str(self.value)
