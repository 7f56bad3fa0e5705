from enum import StrEnum

class GapDetectedEventType(StrEnum):
    GAP_DETECTED = "gap.detected"

    def __str__(self) -> str:
        return str(self.value)
