from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, BinaryIO, TextIO, TYPE_CHECKING, Generator

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

from ..models.edit_message_request_type import EditMessageRequestType
from ..types import UNSET, Unset
from typing import cast

if TYPE_CHECKING:
  from ..models.edit_message_request_content import EditMessageRequestContent
  from ..models.relates_to import RelatesTo
  from ..models.require import Require





T = TypeVar("T", bound="EditMessageRequest")



@_attrs_define
class EditMessageRequest:
    """ New content for an own message; it has a route of its own.

        Attributes:
            content (EditMessageRequestContent): For `text` `{"body": "..."}`, at most 64 KiB; for `file` `{"attachment_id":
                "..."}` of an
                upload, with another `name` and what else you like; for a type of your own any JSON. In all
                at most 1 MiB.
            relates_to (RelatesTo): A relation to another message of the group.
            type_ (EditMessageRequestType):
            require (None | Require | Unset): What must be so, or the message is not sent.
     """

    content: EditMessageRequestContent
    relates_to: RelatesTo
    type_: EditMessageRequestType
    require: None | Require | Unset = UNSET





    def to_dict(self) -> dict[str, Any]:
        from ..models.edit_message_request_content import EditMessageRequestContent # noqa: PLC0415
        from ..models.relates_to import RelatesTo # noqa: PLC0415
        from ..models.require import Require # noqa: PLC0415
        content = self.content.to_dict()

        relates_to = self.relates_to.to_dict()

        type_ = self.type_.value

        require: dict[str, Any] | None | Unset
        if isinstance(self.require, Unset):
            require = UNSET
        elif isinstance(self.require, Require):
            require = self.require.to_dict()
        else:
            require = self.require


        field_dict: dict[str, Any] = {}

        field_dict.update({
            "content": content,
            "relates_to": relates_to,
            "type": type_,
        })
        if require is not UNSET:
            field_dict["require"] = require

        return field_dict



    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.edit_message_request_content import EditMessageRequestContent # noqa: PLC0415
        from ..models.relates_to import RelatesTo # noqa: PLC0415
        from ..models.require import Require # noqa: PLC0415
        d = dict(src_dict)
        content = EditMessageRequestContent.from_dict(d.pop("content"))




        relates_to = RelatesTo.from_dict(d.pop("relates_to"))




        type_ = EditMessageRequestType(d.pop("type"))




        def _parse_require(data: object) -> None | Require | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                require_type_0 = Require.from_dict(data)



                return require_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | Require | Unset, data)

        require = _parse_require(d.pop("require", UNSET))


        edit_message_request = cls(
            content=content,
            relates_to=relates_to,
            type_=type_,
            require=require,
        )

        return edit_message_request

