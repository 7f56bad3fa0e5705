""" Contains all the data models used in inputs/outputs """

from .ack import Ack
from .attachment import Attachment
from .bot import Bot
from .bot_change import BotChange
from .bot_created import BotCreated
from .bot_export import BotExport
from .bot_health import BotHealth
from .bot_list import BotList
from .bot_request import BotRequest
from .bot_state import BotState
from .change import Change
from .clock_off import ClockOff
from .clock_off_event import ClockOffEvent
from .clock_off_event_type import ClockOffEventType
from .consumer import Consumer
from .consumer_lag import ConsumerLag
from .consumer_list import ConsumerList
from .consumer_position import ConsumerPosition
from .delete_message import DeleteMessage
from .delete_message_request import DeleteMessageRequest
from .delete_message_request_content import DeleteMessageRequestContent
from .delete_message_request_type import DeleteMessageRequestType
from .delete_message_type import DeleteMessageType
from .deleted_message import DeletedMessage
from .deleted_message_type import DeletedMessageType
from .delivery import Delivery
from .departure import Departure
from .edit_message import EditMessage
from .edit_message_request import EditMessageRequest
from .edit_message_request_content import EditMessageRequestContent
from .edit_message_request_type import EditMessageRequestType
from .edit_message_type import EditMessageType
from .event_list import EventList
from .export_request import ExportRequest
from .extend import Extend
from .extended import Extended
from .field_error import FieldError
from .file_content import FileContent
from .file_message import FileMessage
from .file_message_request import FileMessageRequest
from .file_message_request_type import FileMessageRequestType
from .file_message_type import FileMessageType
from .gap import Gap
from .gap_detected_event import GapDetectedEvent
from .gap_detected_event_type import GapDetectedEventType
from .group import Group
from .group_change import GroupChange
from .group_change_failed_event import GroupChangeFailedEvent
from .group_change_failed_event_type import GroupChangeFailedEventType
from .group_forked import GroupForked
from .group_forked_event import GroupForkedEvent
from .group_forked_event_type import GroupForkedEventType
from .group_health import GroupHealth
from .group_isolated_event import GroupIsolatedEvent
from .group_isolated_event_type import GroupIsolatedEventType
from .group_joined import GroupJoined
from .group_joined_event import GroupJoinedEvent
from .group_joined_event_type import GroupJoinedEventType
from .group_left_event import GroupLeftEvent
from .group_left_event_type import GroupLeftEventType
from .group_list import GroupList
from .group_members_changed_event import GroupMembersChangedEvent
from .group_members_changed_event_type import GroupMembersChangedEventType
from .group_needs_readd_event import GroupNeedsReaddEvent
from .group_needs_readd_event_type import GroupNeedsReaddEventType
from .group_reason import GroupReason
from .group_renamed import GroupRenamed
from .group_renamed_event import GroupRenamedEvent
from .group_renamed_event_type import GroupRenamedEventType
from .group_repaired_event import GroupRepairedEvent
from .group_repaired_event_type import GroupRepairedEventType
from .group_request import GroupRequest
from .identity import Identity
from .identity_changed import IdentityChanged
from .identity_changed_event import IdentityChangedEvent
from .identity_changed_event_type import IdentityChangedEventType
from .import_request import ImportRequest
from .invitation import Invitation
from .invitation_ended_event import InvitationEndedEvent
from .invitation_ended_event_type import InvitationEndedEventType
from .invitation_list import InvitationList
from .invitation_received_event import InvitationReceivedEvent
from .invitation_received_event_type import InvitationReceivedEventType
from .invite_policy_all import InvitePolicyAll
from .invite_policy_all_policy import InvitePolicyAllPolicy
from .invite_policy_allow import InvitePolicyAllow
from .invite_policy_allow_policy import InvitePolicyAllowPolicy
from .invite_policy_ask import InvitePolicyAsk
from .invite_policy_ask_policy import InvitePolicyAskPolicy
from .invite_policy_none import InvitePolicyNone
from .invite_policy_none_policy import InvitePolicyNonePolicy
from .key_package_stock import KeyPackageStock
from .known_identity import KnownIdentity
from .live import Live
from .me import Me
from .member import Member
from .member_change import MemberChange
from .member_list import MemberList
from .member_typing import MemberTyping
from .member_typing_event import MemberTypingEvent
from .member_typing_event_type import MemberTypingEventType
from .members_changed import MembersChanged
from .members_request import MembersRequest
from .message_edit import MessageEdit
from .message_failed_event import MessageFailedEvent
from .message_failed_event_type import MessageFailedEventType
from .message_list import MessageList
from .message_received_event import MessageReceivedEvent
from .message_received_event_type import MessageReceivedEventType
from .message_sent_event import MessageSentEvent
from .message_sent_event_type import MessageSentEventType
from .message_undecryptable_event import MessageUndecryptableEvent
from .message_undecryptable_event_type import MessageUndecryptableEventType
from .own_message import OwnMessage
from .own_message_request import OwnMessageRequest
from .parked_event import ParkedEvent
from .parked_event_list import ParkedEventList
from .post_quantum import PostQuantum
from .problem import Problem
from .profile import Profile
from .reaction import Reaction
from .reaction_content import ReactionContent
from .reaction_message import ReactionMessage
from .reaction_message_request import ReactionMessageRequest
from .reaction_message_request_type import ReactionMessageRequestType
from .reaction_message_type import ReactionMessageType
from .reaction_request import ReactionRequest
from .read_marker import ReadMarker
from .read_message import ReadMessage
from .read_message_request import ReadMessageRequest
from .read_message_request_content import ReadMessageRequestContent
from .read_message_request_type import ReadMessageRequestType
from .read_message_type import ReadMessageType
from .ready import Ready
from .relates_to import RelatesTo
from .replay import Replay
from .replayed import Replayed
from .report_state import ReportState
from .require import Require
from .required_trust import RequiredTrust
from .role import Role
from .scope import Scope
from .security import Security
from .session_displaced import SessionDisplaced
from .session_displaced_event import SessionDisplacedEvent
from .session_displaced_event_type import SessionDisplacedEventType
from .text_content import TextContent
from .text_message import TextMessage
from .text_message_request import TextMessageRequest
from .text_message_request_type import TextMessageRequestType
from .text_message_type import TextMessageType
from .ticket import Ticket
from .token import Token
from .token_created import TokenCreated
from .token_list import TokenList
from .token_request import TokenRequest
from .typing import Typing
from .typing_content import TypingContent
from .typing_message import TypingMessage
from .typing_message_request import TypingMessageRequest
from .typing_message_request_type import TypingMessageRequestType
from .typing_message_type import TypingMessageType
from .undecryptable import Undecryptable
from .verification import Verification
from .wanted_state import WantedState
from .webhook import Webhook
from .webhook_change import WebhookChange
from .webhook_created import WebhookCreated
from .webhook_delivery import WebhookDelivery
from .webhook_delivery_list import WebhookDeliveryList
from .webhook_health import WebhookHealth
from .webhook_list import WebhookList
from .webhook_request import WebhookRequest
from .webhook_state import WebhookState

__all__ = (
    "Ack",
    "Attachment",
    "Bot",
    "BotChange",
    "BotCreated",
    "BotExport",
    "BotHealth",
    "BotList",
    "BotRequest",
    "BotState",
    "Change",
    "ClockOff",
    "ClockOffEvent",
    "ClockOffEventType",
    "Consumer",
    "ConsumerLag",
    "ConsumerList",
    "ConsumerPosition",
    "DeletedMessage",
    "DeletedMessageType",
    "DeleteMessage",
    "DeleteMessageRequest",
    "DeleteMessageRequestContent",
    "DeleteMessageRequestType",
    "DeleteMessageType",
    "Delivery",
    "Departure",
    "EditMessage",
    "EditMessageRequest",
    "EditMessageRequestContent",
    "EditMessageRequestType",
    "EditMessageType",
    "EventList",
    "ExportRequest",
    "Extend",
    "Extended",
    "FieldError",
    "FileContent",
    "FileMessage",
    "FileMessageRequest",
    "FileMessageRequestType",
    "FileMessageType",
    "Gap",
    "GapDetectedEvent",
    "GapDetectedEventType",
    "Group",
    "GroupChange",
    "GroupChangeFailedEvent",
    "GroupChangeFailedEventType",
    "GroupForked",
    "GroupForkedEvent",
    "GroupForkedEventType",
    "GroupHealth",
    "GroupIsolatedEvent",
    "GroupIsolatedEventType",
    "GroupJoined",
    "GroupJoinedEvent",
    "GroupJoinedEventType",
    "GroupLeftEvent",
    "GroupLeftEventType",
    "GroupList",
    "GroupMembersChangedEvent",
    "GroupMembersChangedEventType",
    "GroupNeedsReaddEvent",
    "GroupNeedsReaddEventType",
    "GroupReason",
    "GroupRenamed",
    "GroupRenamedEvent",
    "GroupRenamedEventType",
    "GroupRepairedEvent",
    "GroupRepairedEventType",
    "GroupRequest",
    "Identity",
    "IdentityChanged",
    "IdentityChangedEvent",
    "IdentityChangedEventType",
    "ImportRequest",
    "Invitation",
    "InvitationEndedEvent",
    "InvitationEndedEventType",
    "InvitationList",
    "InvitationReceivedEvent",
    "InvitationReceivedEventType",
    "InvitePolicyAll",
    "InvitePolicyAllow",
    "InvitePolicyAllowPolicy",
    "InvitePolicyAllPolicy",
    "InvitePolicyAsk",
    "InvitePolicyAskPolicy",
    "InvitePolicyNone",
    "InvitePolicyNonePolicy",
    "KeyPackageStock",
    "KnownIdentity",
    "Live",
    "Me",
    "Member",
    "MemberChange",
    "MemberList",
    "MembersChanged",
    "MembersRequest",
    "MemberTyping",
    "MemberTypingEvent",
    "MemberTypingEventType",
    "MessageEdit",
    "MessageFailedEvent",
    "MessageFailedEventType",
    "MessageList",
    "MessageReceivedEvent",
    "MessageReceivedEventType",
    "MessageSentEvent",
    "MessageSentEventType",
    "MessageUndecryptableEvent",
    "MessageUndecryptableEventType",
    "OwnMessage",
    "OwnMessageRequest",
    "ParkedEvent",
    "ParkedEventList",
    "PostQuantum",
    "Problem",
    "Profile",
    "Reaction",
    "ReactionContent",
    "ReactionMessage",
    "ReactionMessageRequest",
    "ReactionMessageRequestType",
    "ReactionMessageType",
    "ReactionRequest",
    "ReadMarker",
    "ReadMessage",
    "ReadMessageRequest",
    "ReadMessageRequestContent",
    "ReadMessageRequestType",
    "ReadMessageType",
    "Ready",
    "RelatesTo",
    "Replay",
    "Replayed",
    "ReportState",
    "Require",
    "RequiredTrust",
    "Role",
    "Scope",
    "Security",
    "SessionDisplaced",
    "SessionDisplacedEvent",
    "SessionDisplacedEventType",
    "TextContent",
    "TextMessage",
    "TextMessageRequest",
    "TextMessageRequestType",
    "TextMessageType",
    "Ticket",
    "Token",
    "TokenCreated",
    "TokenList",
    "TokenRequest",
    "Typing",
    "TypingContent",
    "TypingMessage",
    "TypingMessageRequest",
    "TypingMessageRequestType",
    "TypingMessageType",
    "Undecryptable",
    "Verification",
    "WantedState",
    "Webhook",
    "WebhookChange",
    "WebhookCreated",
    "WebhookDelivery",
    "WebhookDeliveryList",
    "WebhookHealth",
    "WebhookList",
    "WebhookRequest",
    "WebhookState",
)
