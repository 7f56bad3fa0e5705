from enum import StrEnum

class Scope(StrEnum):
    GROUPSMANAGE = "groups:manage"
    GROUPSREAD = "groups:read"
    IDENTITYMANAGE = "identity:manage"
    INVITATIONSMANAGE = "invitations:manage"
    MESSAGESREAD = "messages:read"
    MESSAGESSEND = "messages:send"
    WEBHOOKSMANAGE = "webhooks:manage"

    def __str__(self) -> str:
        return str(self.value)
