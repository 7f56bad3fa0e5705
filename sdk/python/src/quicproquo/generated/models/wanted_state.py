from enum import StrEnum

class WantedState(StrEnum):
    RUNNING = "running"

    def __str__(self) -> str:
        return str(self.value)
