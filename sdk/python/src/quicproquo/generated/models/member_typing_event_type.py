from enum import StrEnum

class MemberTypingEventType(StrEnum):
    MEMBER_TYPING = "member.typing"

    def __str__(self) -> str:
        return str(self.value)
