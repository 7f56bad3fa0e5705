from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, BinaryIO, TextIO, TYPE_CHECKING, Generator

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

from ..types import UNSET, Unset
from typing import cast

if TYPE_CHECKING:
  from ..models.relates_to import RelatesTo
  from ..models.require import Require





T = TypeVar("T", bound="OwnMessageRequest")



@_attrs_define
class OwnMessageRequest:
    """ A message of a type of your own, with any content.

        Attributes:
            type_ (str):
            content (Any | Unset): For `text` `{"body": "..."}`, at most 64 KiB; for `file` `{"attachment_id": "..."}` of an
                upload, with another `name` and what else you like; for a type of your own any JSON. In all
                at most 1 MiB.
            relates_to (None | RelatesTo | Unset): The message this one changes, and how.
            reply_to (None | str | Unset): The id of the message this one answers.
            require (None | Require | Unset): What must be so, or the message is not sent.
     """

    type_: str
    content: Any | Unset = UNSET
    relates_to: None | RelatesTo | Unset = UNSET
    reply_to: None | str | Unset = UNSET
    require: None | Require | Unset = UNSET





    def to_dict(self) -> dict[str, Any]:
        from ..models.relates_to import RelatesTo # noqa: PLC0415
        from ..models.require import Require # noqa: PLC0415
        type_ = self.type_

        content = self.content

        relates_to: dict[str, Any] | None | Unset
        if isinstance(self.relates_to, Unset):
            relates_to = UNSET
        elif isinstance(self.relates_to, RelatesTo):
            relates_to = self.relates_to.to_dict()
        else:
            relates_to = self.relates_to

        reply_to: None | str | Unset
        if isinstance(self.reply_to, Unset):
            reply_to = UNSET
        else:
            reply_to = self.reply_to

        require: dict[str, Any] | None | Unset
        if isinstance(self.require, Unset):
            require = UNSET
        elif isinstance(self.require, Require):
            require = self.require.to_dict()
        else:
            require = self.require


        field_dict: dict[str, Any] = {}

        field_dict.update({
            "type": type_,
        })
        if content is not UNSET:
            field_dict["content"] = content
        if relates_to is not UNSET:
            field_dict["relates_to"] = relates_to
        if reply_to is not UNSET:
            field_dict["reply_to"] = reply_to
        if require is not UNSET:
            field_dict["require"] = require

        return field_dict



    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.relates_to import RelatesTo # noqa: PLC0415
        from ..models.require import Require # noqa: PLC0415
        d = dict(src_dict)
        type_ = d.pop("type")

        content = d.pop("content", UNSET)

        def _parse_relates_to(data: object) -> None | RelatesTo | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                relates_to_type_0 = RelatesTo.from_dict(data)



                return relates_to_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | RelatesTo | Unset, data)

        relates_to = _parse_relates_to(d.pop("relates_to", UNSET))


        def _parse_reply_to(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        reply_to = _parse_reply_to(d.pop("reply_to", UNSET))


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


        own_message_request = cls(
            type_=type_,
            content=content,
            relates_to=relates_to,
            reply_to=reply_to,
            require=require,
        )

        return own_message_request

