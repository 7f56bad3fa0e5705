from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, BinaryIO, TextIO, TYPE_CHECKING, Generator

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset







T = TypeVar("T", bound="RelatesTo")



@_attrs_define
class RelatesTo:
    """ A relation to another message of the group.

        Attributes:
            message_id (str): The other message's id.
            rel (str): How: `reply`, `reaction`, `edit`, `delete`, `read`.
     """

    message_id: str
    rel: str





    def to_dict(self) -> dict[str, Any]:
        message_id = self.message_id

        rel = self.rel


        field_dict: dict[str, Any] = {}

        field_dict.update({
            "message_id": message_id,
            "rel": rel,
        })

        return field_dict



    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        message_id = d.pop("message_id")

        rel = d.pop("rel")

        relates_to = cls(
            message_id=message_id,
            rel=rel,
        )

        return relates_to

