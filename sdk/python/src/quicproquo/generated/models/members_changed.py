from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, BinaryIO, TextIO, TYPE_CHECKING, Generator

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

from typing import cast






T = TypeVar("T", bound="MembersChanged")



@_attrs_define
class MembersChanged:
    """ `group.members_changed`: members came or went, or roles changed.

        Attributes:
            added (list[str]): Who came.
            by (str): Who committed it.
            epoch (int): The epoch after the change.
            left (list[str]): Those of `removed` that asked to leave.
            removed (list[str]): Who went.
     """

    added: list[str]
    by: str
    epoch: int
    left: list[str]
    removed: list[str]
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)





    def to_dict(self) -> dict[str, Any]:
        added = self.added



        by = self.by

        epoch = self.epoch

        left = self.left



        removed = self.removed




        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update({
            "added": added,
            "by": by,
            "epoch": epoch,
            "left": left,
            "removed": removed,
        })

        return field_dict



    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        added = cast(list[str], d.pop("added"))


        by = d.pop("by")

        epoch = d.pop("epoch")

        left = cast(list[str], d.pop("left"))


        removed = cast(list[str], d.pop("removed"))


        members_changed = cls(
            added=added,
            by=by,
            epoch=epoch,
            left=left,
            removed=removed,
        )


        members_changed.additional_properties = d
        return members_changed

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
