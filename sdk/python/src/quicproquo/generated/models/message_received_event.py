from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, BinaryIO, TextIO, TYPE_CHECKING, Generator

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

from ..models.message_received_event_type import MessageReceivedEventType
from ..types import UNSET, Unset
from typing import cast
import datetime

if TYPE_CHECKING:
  from ..models.delete_message import DeleteMessage
  from ..models.deleted_message import DeletedMessage
  from ..models.edit_message import EditMessage
  from ..models.file_message import FileMessage
  from ..models.own_message import OwnMessage
  from ..models.reaction_message import ReactionMessage
  from ..models.read_message import ReadMessage
  from ..models.text_message import TextMessage
  from ..models.typing_message import TypingMessage





T = TypeVar("T", bound="MessageReceivedEvent")



@_attrs_define
class MessageReceivedEvent:
    """ Somebody's message was decrypted.

        Attributes:
            attempt (int): 1, and more when a consumer did not acknowledge it before.
            cursor (str): Its position: give it as `after` to go on behind it.
            data (DeletedMessage | DeleteMessage | EditMessage | FileMessage | OwnMessage | ReactionMessage | ReadMessage |
                TextMessage | TypingMessage): A message of a group.
            group_id (None | str): The group it is about.
            occurred_at (datetime.datetime): When it was written.
            type_ (MessageReceivedEventType):
            delivery_id (None | str | Unset): Names this delivery to a consumer, which acknowledges it.
            replayed (bool | None | Unset): `true` when it was asked for again: other events of its group may have come
                before.
     """

    attempt: int
    cursor: str
    data: DeletedMessage | DeleteMessage | EditMessage | FileMessage | OwnMessage | ReactionMessage | ReadMessage | TextMessage | TypingMessage
    group_id: None | str
    occurred_at: datetime.datetime
    type_: MessageReceivedEventType
    delivery_id: None | str | Unset = UNSET
    replayed: bool | None | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)





    def to_dict(self) -> dict[str, Any]:
        from ..models.delete_message import DeleteMessage # noqa: PLC0415
        from ..models.deleted_message import DeletedMessage # noqa: PLC0415
        from ..models.edit_message import EditMessage # noqa: PLC0415
        from ..models.file_message import FileMessage # noqa: PLC0415
        from ..models.own_message import OwnMessage # noqa: PLC0415
        from ..models.reaction_message import ReactionMessage # noqa: PLC0415
        from ..models.read_message import ReadMessage # noqa: PLC0415
        from ..models.text_message import TextMessage # noqa: PLC0415
        from ..models.typing_message import TypingMessage # noqa: PLC0415
        attempt = self.attempt

        cursor = self.cursor

        data: dict[str, Any]
        if isinstance(self.data, TextMessage):
            data = self.data.to_dict()
        elif isinstance(self.data, FileMessage):
            data = self.data.to_dict()
        elif isinstance(self.data, ReactionMessage):
            data = self.data.to_dict()
        elif isinstance(self.data, EditMessage):
            data = self.data.to_dict()
        elif isinstance(self.data, DeleteMessage):
            data = self.data.to_dict()
        elif isinstance(self.data, ReadMessage):
            data = self.data.to_dict()
        elif isinstance(self.data, TypingMessage):
            data = self.data.to_dict()
        elif isinstance(self.data, DeletedMessage):
            data = self.data.to_dict()
        else:
            data = self.data.to_dict()


        group_id: None | str
        group_id = self.group_id

        occurred_at = self.occurred_at.isoformat()

        type_ = self.type_.value

        delivery_id: None | str | Unset
        if isinstance(self.delivery_id, Unset):
            delivery_id = UNSET
        else:
            delivery_id = self.delivery_id

        replayed: bool | None | Unset
        if isinstance(self.replayed, Unset):
            replayed = UNSET
        else:
            replayed = self.replayed


        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update({
            "attempt": attempt,
            "cursor": cursor,
            "data": data,
            "group_id": group_id,
            "occurred_at": occurred_at,
            "type": type_,
        })
        if delivery_id is not UNSET:
            field_dict["delivery_id"] = delivery_id
        if replayed is not UNSET:
            field_dict["replayed"] = replayed

        return field_dict



    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.delete_message import DeleteMessage # noqa: PLC0415
        from ..models.deleted_message import DeletedMessage # noqa: PLC0415
        from ..models.edit_message import EditMessage # noqa: PLC0415
        from ..models.file_message import FileMessage # noqa: PLC0415
        from ..models.own_message import OwnMessage # noqa: PLC0415
        from ..models.reaction_message import ReactionMessage # noqa: PLC0415
        from ..models.read_message import ReadMessage # noqa: PLC0415
        from ..models.text_message import TextMessage # noqa: PLC0415
        from ..models.typing_message import TypingMessage # noqa: PLC0415
        d = dict(src_dict)
        attempt = d.pop("attempt")

        cursor = d.pop("cursor")

        def _parse_data(data: object) -> DeletedMessage | DeleteMessage | EditMessage | FileMessage | OwnMessage | ReactionMessage | ReadMessage | TextMessage | TypingMessage:
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                componentsschemas_message_type_0 = TextMessage.from_dict(data)



                return componentsschemas_message_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                componentsschemas_message_type_1 = FileMessage.from_dict(data)



                return componentsschemas_message_type_1
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                componentsschemas_message_type_2 = ReactionMessage.from_dict(data)



                return componentsschemas_message_type_2
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                componentsschemas_message_type_3 = EditMessage.from_dict(data)



                return componentsschemas_message_type_3
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                componentsschemas_message_type_4 = DeleteMessage.from_dict(data)



                return componentsschemas_message_type_4
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                componentsschemas_message_type_5 = ReadMessage.from_dict(data)



                return componentsschemas_message_type_5
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                componentsschemas_message_type_6 = TypingMessage.from_dict(data)



                return componentsschemas_message_type_6
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                componentsschemas_message_type_7 = DeletedMessage.from_dict(data)



                return componentsschemas_message_type_7
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            if not isinstance(data, dict):
                raise TypeError()
            componentsschemas_message_type_8 = OwnMessage.from_dict(data)



            return componentsschemas_message_type_8

        data = _parse_data(d.pop("data"))


        def _parse_group_id(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        group_id = _parse_group_id(d.pop("group_id"))


        occurred_at = datetime.datetime.fromisoformat(d.pop("occurred_at"))




        type_ = MessageReceivedEventType(d.pop("type"))




        def _parse_delivery_id(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        delivery_id = _parse_delivery_id(d.pop("delivery_id", UNSET))


        def _parse_replayed(data: object) -> bool | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(bool | None | Unset, data)

        replayed = _parse_replayed(d.pop("replayed", UNSET))


        message_received_event = cls(
            attempt=attempt,
            cursor=cursor,
            data=data,
            group_id=group_id,
            occurred_at=occurred_at,
            type_=type_,
            delivery_id=delivery_id,
            replayed=replayed,
        )


        message_received_event.additional_properties = d
        return message_received_event

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
