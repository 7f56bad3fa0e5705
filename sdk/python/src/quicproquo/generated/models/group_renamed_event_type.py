from enum import StrEnum

class GroupRenamedEventType(StrEnum):
    GROUP_RENAMED = "group.renamed"

    def __str__(self) -> str:
        return str(self.value)
