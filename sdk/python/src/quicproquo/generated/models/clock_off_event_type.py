from enum import StrEnum

class ClockOffEventType(StrEnum):
    CLOCK_OFF = "clock.off"

    def __str__(self) -> str:
        return str(self.value)
