from enum import StrEnum

class BotState(StrEnum):
    CONNECTING = "connecting"
    DISPLACED = "displaced"
    EXPORTED = "exported"
    REFUSED = "refused"
    RUNNING = "running"
    STOPPED = "stopped"

    def __str__(self) -> str:
        return str(self.value)
