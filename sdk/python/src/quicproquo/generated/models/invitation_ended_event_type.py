from enum import StrEnum

class InvitationEndedEventType(StrEnum):
    INVITATION_ENDED = "invitation.ended"

    def __str__(self) -> str:
        return str(self.value)
