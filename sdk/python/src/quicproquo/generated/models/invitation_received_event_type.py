from enum import StrEnum

class InvitationReceivedEventType(StrEnum):
    INVITATION_RECEIVED = "invitation.received"

    def __str__(self) -> str:
        return str(self.value)
