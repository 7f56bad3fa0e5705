from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, BinaryIO, TextIO, TYPE_CHECKING, Generator

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

from typing import cast

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





T = TypeVar("T", bound="MessageList")



@_attrs_define
class MessageList:
    """ A page of items.

        Attributes:
            items (list[DeletedMessage | DeleteMessage | EditMessage | FileMessage | OwnMessage | ReactionMessage |
                ReadMessage | TextMessage | TypingMessage]): The items.
            next_ (None | str): Where the next page begins; `null` at the end. Also in the `Link` header.
     """

    items: list[DeletedMessage | DeleteMessage | EditMessage | FileMessage | OwnMessage | ReactionMessage | ReadMessage | TextMessage | TypingMessage]
    next_: None | str
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
        items = []
        for items_item_data in self.items:
            items_item: dict[str, Any]
            if isinstance(items_item_data, TextMessage):
                items_item = items_item_data.to_dict()
            elif isinstance(items_item_data, FileMessage):
                items_item = items_item_data.to_dict()
            elif isinstance(items_item_data, ReactionMessage):
                items_item = items_item_data.to_dict()
            elif isinstance(items_item_data, EditMessage):
                items_item = items_item_data.to_dict()
            elif isinstance(items_item_data, DeleteMessage):
                items_item = items_item_data.to_dict()
            elif isinstance(items_item_data, ReadMessage):
                items_item = items_item_data.to_dict()
            elif isinstance(items_item_data, TypingMessage):
                items_item = items_item_data.to_dict()
            elif isinstance(items_item_data, DeletedMessage):
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
        items = []
        _items = d.pop("items")
        for items_item_data in (_items):
            def _parse_items_item(data: object) -> DeletedMessage | DeleteMessage | EditMessage | FileMessage | OwnMessage | ReactionMessage | ReadMessage | TextMessage | TypingMessage:
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

            items_item = _parse_items_item(items_item_data)

            items.append(items_item)


        def _parse_next_(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        next_ = _parse_next_(d.pop("next"))


        message_list = cls(
            items=items,
            next_=next_,
        )


        message_list.additional_properties = d
        return message_list

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
