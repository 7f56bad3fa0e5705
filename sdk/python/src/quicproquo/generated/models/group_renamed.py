from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, BinaryIO, TextIO, TYPE_CHECKING, Generator

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset







T = TypeVar("T", bound="GroupRenamed")



@_attrs_define
class GroupRenamed:
    """ `group.renamed`: name or topic changed.

        Attributes:
            by (str): Who committed it.
            epoch (int): The epoch after the change.
            name (str): The name now.
            topic (str): The topic now.
     """

    by: str
    epoch: int
    name: str
    topic: str
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)





    def to_dict(self) -> dict[str, Any]:
        by = self.by

        epoch = self.epoch

        name = self.name

        topic = self.topic


        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update({
            "by": by,
            "epoch": epoch,
            "name": name,
            "topic": topic,
        })

        return field_dict



    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        by = d.pop("by")

        epoch = d.pop("epoch")

        name = d.pop("name")

        topic = d.pop("topic")

        group_renamed = cls(
            by=by,
            epoch=epoch,
            name=name,
            topic=topic,
        )


        group_renamed.additional_properties = d
        return group_renamed

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
