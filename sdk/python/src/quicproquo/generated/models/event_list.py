from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, BinaryIO, TextIO, TYPE_CHECKING, Generator

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

from typing import cast

if TYPE_CHECKING:
  from ..models.clock_off_event import ClockOffEvent
  from ..models.gap_detected_event import GapDetectedEvent
  from ..models.group_change_failed_event import GroupChangeFailedEvent
  from ..models.group_forked_event import GroupForkedEvent
  from ..models.group_isolated_event import GroupIsolatedEvent
  from ..models.group_joined_event import GroupJoinedEvent
  from ..models.group_left_event import GroupLeftEvent
  from ..models.group_members_changed_event import GroupMembersChangedEvent
  from ..models.group_needs_readd_event import GroupNeedsReaddEvent
  from ..models.group_renamed_event import GroupRenamedEvent
  from ..models.group_repaired_event import GroupRepairedEvent
  from ..models.identity_changed_event import IdentityChangedEvent
  from ..models.invitation_ended_event import InvitationEndedEvent
  from ..models.invitation_received_event import InvitationReceivedEvent
  from ..models.member_typing_event import MemberTypingEvent
  from ..models.message_failed_event import MessageFailedEvent
  from ..models.message_received_event import MessageReceivedEvent
  from ..models.message_sent_event import MessageSentEvent
  from ..models.message_undecryptable_event import MessageUndecryptableEvent
  from ..models.session_displaced_event import SessionDisplacedEvent





T = TypeVar("T", bound="EventList")



@_attrs_define
class EventList:
    """ A page of items.

        Attributes:
            items (list[ClockOffEvent | GapDetectedEvent | GroupChangeFailedEvent | GroupForkedEvent | GroupIsolatedEvent |
                GroupJoinedEvent | GroupLeftEvent | GroupMembersChangedEvent | GroupNeedsReaddEvent | GroupRenamedEvent |
                GroupRepairedEvent | IdentityChangedEvent | InvitationEndedEvent | InvitationReceivedEvent | MemberTypingEvent |
                MessageFailedEvent | MessageReceivedEvent | MessageSentEvent | MessageUndecryptableEvent |
                SessionDisplacedEvent]): The items.
            next_ (None | str): Where the next page begins; `null` at the end. Also in the `Link` header.
     """

    items: list[ClockOffEvent | GapDetectedEvent | GroupChangeFailedEvent | GroupForkedEvent | GroupIsolatedEvent | GroupJoinedEvent | GroupLeftEvent | GroupMembersChangedEvent | GroupNeedsReaddEvent | GroupRenamedEvent | GroupRepairedEvent | IdentityChangedEvent | InvitationEndedEvent | InvitationReceivedEvent | MemberTypingEvent | MessageFailedEvent | MessageReceivedEvent | MessageSentEvent | MessageUndecryptableEvent | SessionDisplacedEvent]
    next_: None | str
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)





    def to_dict(self) -> dict[str, Any]:
        from ..models.clock_off_event import ClockOffEvent # noqa: PLC0415
        from ..models.gap_detected_event import GapDetectedEvent # noqa: PLC0415
        from ..models.group_change_failed_event import GroupChangeFailedEvent # noqa: PLC0415
        from ..models.group_forked_event import GroupForkedEvent # noqa: PLC0415
        from ..models.group_isolated_event import GroupIsolatedEvent # noqa: PLC0415
        from ..models.group_joined_event import GroupJoinedEvent # noqa: PLC0415
        from ..models.group_left_event import GroupLeftEvent # noqa: PLC0415
        from ..models.group_members_changed_event import GroupMembersChangedEvent # noqa: PLC0415
        from ..models.group_needs_readd_event import GroupNeedsReaddEvent # noqa: PLC0415
        from ..models.group_renamed_event import GroupRenamedEvent # noqa: PLC0415
        from ..models.group_repaired_event import GroupRepairedEvent # noqa: PLC0415
        from ..models.identity_changed_event import IdentityChangedEvent # noqa: PLC0415
        from ..models.invitation_ended_event import InvitationEndedEvent # noqa: PLC0415
        from ..models.invitation_received_event import InvitationReceivedEvent # noqa: PLC0415
        from ..models.member_typing_event import MemberTypingEvent # noqa: PLC0415
        from ..models.message_failed_event import MessageFailedEvent # noqa: PLC0415
        from ..models.message_received_event import MessageReceivedEvent # noqa: PLC0415
        from ..models.message_sent_event import MessageSentEvent # noqa: PLC0415
        from ..models.message_undecryptable_event import MessageUndecryptableEvent # noqa: PLC0415
        from ..models.session_displaced_event import SessionDisplacedEvent # noqa: PLC0415
        items = []
        for items_item_data in self.items:
            items_item: dict[str, Any]
            if isinstance(items_item_data, MessageReceivedEvent):
                items_item = items_item_data.to_dict()
            elif isinstance(items_item_data, MessageSentEvent):
                items_item = items_item_data.to_dict()
            elif isinstance(items_item_data, MessageFailedEvent):
                items_item = items_item_data.to_dict()
            elif isinstance(items_item_data, MessageUndecryptableEvent):
                items_item = items_item_data.to_dict()
            elif isinstance(items_item_data, MemberTypingEvent):
                items_item = items_item_data.to_dict()
            elif isinstance(items_item_data, GroupJoinedEvent):
                items_item = items_item_data.to_dict()
            elif isinstance(items_item_data, GroupMembersChangedEvent):
                items_item = items_item_data.to_dict()
            elif isinstance(items_item_data, GroupRenamedEvent):
                items_item = items_item_data.to_dict()
            elif isinstance(items_item_data, GroupLeftEvent):
                items_item = items_item_data.to_dict()
            elif isinstance(items_item_data, GroupIsolatedEvent):
                items_item = items_item_data.to_dict()
            elif isinstance(items_item_data, GroupForkedEvent):
                items_item = items_item_data.to_dict()
            elif isinstance(items_item_data, GroupNeedsReaddEvent):
                items_item = items_item_data.to_dict()
            elif isinstance(items_item_data, GroupRepairedEvent):
                items_item = items_item_data.to_dict()
            elif isinstance(items_item_data, GroupChangeFailedEvent):
                items_item = items_item_data.to_dict()
            elif isinstance(items_item_data, InvitationReceivedEvent):
                items_item = items_item_data.to_dict()
            elif isinstance(items_item_data, InvitationEndedEvent):
                items_item = items_item_data.to_dict()
            elif isinstance(items_item_data, GapDetectedEvent):
                items_item = items_item_data.to_dict()
            elif isinstance(items_item_data, IdentityChangedEvent):
                items_item = items_item_data.to_dict()
            elif isinstance(items_item_data, ClockOffEvent):
                items_item = items_item_data.to_dict()
            else:
                items_item = items_item_data.to_dict()

            items.append(items_item)



        next_: None | str
        next_ = self.next_


        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update({
            "items": items,
            "next": next_,
        })

        return field_dict



    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.clock_off_event import ClockOffEvent # noqa: PLC0415
        from ..models.gap_detected_event import GapDetectedEvent # noqa: PLC0415
        from ..models.group_change_failed_event import GroupChangeFailedEvent # noqa: PLC0415
        from ..models.group_forked_event import GroupForkedEvent # noqa: PLC0415
        from ..models.group_isolated_event import GroupIsolatedEvent # noqa: PLC0415
        from ..models.group_joined_event import GroupJoinedEvent # noqa: PLC0415
        from ..models.group_left_event import GroupLeftEvent # noqa: PLC0415
        from ..models.group_members_changed_event import GroupMembersChangedEvent # noqa: PLC0415
        from ..models.group_needs_readd_event import GroupNeedsReaddEvent # noqa: PLC0415
        from ..models.group_renamed_event import GroupRenamedEvent # noqa: PLC0415
        from ..models.group_repaired_event import GroupRepairedEvent # noqa: PLC0415
        from ..models.identity_changed_event import IdentityChangedEvent # noqa: PLC0415
        from ..models.invitation_ended_event import InvitationEndedEvent # noqa: PLC0415
        from ..models.invitation_received_event import InvitationReceivedEvent # noqa: PLC0415
        from ..models.member_typing_event import MemberTypingEvent # noqa: PLC0415
        from ..models.message_failed_event import MessageFailedEvent # noqa: PLC0415
        from ..models.message_received_event import MessageReceivedEvent # noqa: PLC0415
        from ..models.message_sent_event import MessageSentEvent # noqa: PLC0415
        from ..models.message_undecryptable_event import MessageUndecryptableEvent # noqa: PLC0415
        from ..models.session_displaced_event import SessionDisplacedEvent # noqa: PLC0415
        d = dict(src_dict)
        items = []
        _items = d.pop("items")
        for items_item_data in (_items):
            def _parse_items_item(data: object) -> ClockOffEvent | GapDetectedEvent | GroupChangeFailedEvent | GroupForkedEvent | GroupIsolatedEvent | GroupJoinedEvent | GroupLeftEvent | GroupMembersChangedEvent | GroupNeedsReaddEvent | GroupRenamedEvent | GroupRepairedEvent | IdentityChangedEvent | InvitationEndedEvent | InvitationReceivedEvent | MemberTypingEvent | MessageFailedEvent | MessageReceivedEvent | MessageSentEvent | MessageUndecryptableEvent | SessionDisplacedEvent:
                try:
                    if not isinstance(data, dict):
                        raise TypeError()
                    componentsschemas_event_type_0 = MessageReceivedEvent.from_dict(data)



                    return componentsschemas_event_type_0
                except (TypeError, ValueError, AttributeError, KeyError):
                    pass
                try:
                    if not isinstance(data, dict):
                        raise TypeError()
                    componentsschemas_event_type_1 = MessageSentEvent.from_dict(data)



                    return componentsschemas_event_type_1
                except (TypeError, ValueError, AttributeError, KeyError):
                    pass
                try:
                    if not isinstance(data, dict):
                        raise TypeError()
                    componentsschemas_event_type_2 = MessageFailedEvent.from_dict(data)



                    return componentsschemas_event_type_2
                except (TypeError, ValueError, AttributeError, KeyError):
                    pass
                try:
                    if not isinstance(data, dict):
                        raise TypeError()
                    componentsschemas_event_type_3 = MessageUndecryptableEvent.from_dict(data)



                    return componentsschemas_event_type_3
                except (TypeError, ValueError, AttributeError, KeyError):
                    pass
                try:
                    if not isinstance(data, dict):
                        raise TypeError()
                    componentsschemas_event_type_4 = MemberTypingEvent.from_dict(data)



                    return componentsschemas_event_type_4
                except (TypeError, ValueError, AttributeError, KeyError):
                    pass
                try:
                    if not isinstance(data, dict):
                        raise TypeError()
                    componentsschemas_event_type_5 = GroupJoinedEvent.from_dict(data)



                    return componentsschemas_event_type_5
                except (TypeError, ValueError, AttributeError, KeyError):
                    pass
                try:
                    if not isinstance(data, dict):
                        raise TypeError()
                    componentsschemas_event_type_6 = GroupMembersChangedEvent.from_dict(data)



                    return componentsschemas_event_type_6
                except (TypeError, ValueError, AttributeError, KeyError):
                    pass
                try:
                    if not isinstance(data, dict):
                        raise TypeError()
                    componentsschemas_event_type_7 = GroupRenamedEvent.from_dict(data)



                    return componentsschemas_event_type_7
                except (TypeError, ValueError, AttributeError, KeyError):
                    pass
                try:
                    if not isinstance(data, dict):
                        raise TypeError()
                    componentsschemas_event_type_8 = GroupLeftEvent.from_dict(data)



                    return componentsschemas_event_type_8
                except (TypeError, ValueError, AttributeError, KeyError):
                    pass
                try:
                    if not isinstance(data, dict):
                        raise TypeError()
                    componentsschemas_event_type_9 = GroupIsolatedEvent.from_dict(data)



                    return componentsschemas_event_type_9
                except (TypeError, ValueError, AttributeError, KeyError):
                    pass
                try:
                    if not isinstance(data, dict):
                        raise TypeError()
                    componentsschemas_event_type_10 = GroupForkedEvent.from_dict(data)



                    return componentsschemas_event_type_10
                except (TypeError, ValueError, AttributeError, KeyError):
                    pass
                try:
                    if not isinstance(data, dict):
                        raise TypeError()
                    componentsschemas_event_type_11 = GroupNeedsReaddEvent.from_dict(data)



                    return componentsschemas_event_type_11
                except (TypeError, ValueError, AttributeError, KeyError):
                    pass
                try:
                    if not isinstance(data, dict):
                        raise TypeError()
                    componentsschemas_event_type_12 = GroupRepairedEvent.from_dict(data)



                    return componentsschemas_event_type_12
                except (TypeError, ValueError, AttributeError, KeyError):
                    pass
                try:
                    if not isinstance(data, dict):
                        raise TypeError()
                    componentsschemas_event_type_13 = GroupChangeFailedEvent.from_dict(data)



                    return componentsschemas_event_type_13
                except (TypeError, ValueError, AttributeError, KeyError):
                    pass
                try:
                    if not isinstance(data, dict):
                        raise TypeError()
                    componentsschemas_event_type_14 = InvitationReceivedEvent.from_dict(data)



                    return componentsschemas_event_type_14
                except (TypeError, ValueError, AttributeError, KeyError):
                    pass
                try:
                    if not isinstance(data, dict):
                        raise TypeError()
                    componentsschemas_event_type_15 = InvitationEndedEvent.from_dict(data)



                    return componentsschemas_event_type_15
                except (TypeError, ValueError, AttributeError, KeyError):
                    pass
                try:
                    if not isinstance(data, dict):
                        raise TypeError()
                    componentsschemas_event_type_16 = GapDetectedEvent.from_dict(data)



                    return componentsschemas_event_type_16
                except (TypeError, ValueError, AttributeError, KeyError):
                    pass
                try:
                    if not isinstance(data, dict):
                        raise TypeError()
                    componentsschemas_event_type_17 = IdentityChangedEvent.from_dict(data)



                    return componentsschemas_event_type_17
                except (TypeError, ValueError, AttributeError, KeyError):
                    pass
                try:
                    if not isinstance(data, dict):
                        raise TypeError()
                    componentsschemas_event_type_18 = ClockOffEvent.from_dict(data)



                    return componentsschemas_event_type_18
                except (TypeError, ValueError, AttributeError, KeyError):
                    pass
                if not isinstance(data, dict):
                    raise TypeError()
                componentsschemas_event_type_19 = SessionDisplacedEvent.from_dict(data)



                return componentsschemas_event_type_19

            items_item = _parse_items_item(items_item_data)

            items.append(items_item)


        def _parse_next_(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        next_ = _parse_next_(d.pop("next"))


        event_list = cls(
            items=items,
            next_=next_,
        )


        event_list.additional_properties = d
        return event_list

    @property
    def additional_keys(self) -> list[str]:
        return list(self.additional_properties.keys())

    def __getitem__(self, key: str) -> Any:
        return self.additional_properties[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self.additional_properties[key] = value

    def __delitem__(self, key: str) -> None:
        del self.additional_properties[key]

    def __contains__(self, key: str) -> bool:
        return key in self.additional_properties
