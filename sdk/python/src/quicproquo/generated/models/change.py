from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, BinaryIO, TextIO, TYPE_CHECKING, Generator

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

from typing import cast

if TYPE_CHECKING:
  from ..models.group import Group





T = TypeVar("T", bound="Change")



@_attrs_define
class Change:
    """ A change of a group, as far as it has come.

        Attributes:
            epoch (int): The group's epoch now.
            group (Group): A group.
            state (str): `done`, or `pending` (durable here, its commit has not come back yet).
     """

    epoch: int
    group: Group
    state: str
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)





    def to_dict(self) -> dict[str, Any]:
        from ..models.group import Group # noqa: PLC0415
        epoch = self.epoch

        group = self.group.to_dict()

        state = self.state


        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update({
            "epoch": epoch,
            "group": group,
            "state": state,
        })

        return field_dict



    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.group import Group # noqa: PLC0415
        d = dict(src_dict)
        epoch = d.pop("epoch")

        group = Group.from_dict(d.pop("group"))




        state = d.pop("state")

        change = cls(
            epoch=epoch,
            group=group,
            state=state,
        )


        change.additional_properties = d
        return change

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
