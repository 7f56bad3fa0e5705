from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, BinaryIO, TextIO, TYPE_CHECKING, Generator

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

from ..types import UNSET, Unset
from typing import cast

if TYPE_CHECKING:
  from ..models.require import Require





T = TypeVar("T", bound="ReadMarker")



@_attrs_define
class ReadMarker:
    """ How far the bot has read.

        Attributes:
            message_id (str): The newest message it has read.
            require (None | Require | Unset): What must be so, or it is not sent.
     """

    message_id: str
    require: None | Require | Unset = UNSET





    def to_dict(self) -> dict[str, Any]:
        from ..models.require import Require # noqa: PLC0415
        message_id = self.message_id

        require: dict[str, Any] | None | Unset
        if isinstance(self.require, Unset):
            require = UNSET
        elif isinstance(self.require, Require):
            require = self.require.to_dict()
        else:
            require = self.require


        field_dict: dict[str, Any] = {}

        field_dict.update({
            "message_id": message_id,
        })
        if require is not UNSET:
            field_dict["require"] = require

        return field_dict



    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.require import Require # noqa: PLC0415
        d = dict(src_dict)
        message_id = d.pop("message_id")

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


        read_marker = cls(
            message_id=message_id,
            require=require,
        )

        return read_marker

