from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, BinaryIO, TextIO, TYPE_CHECKING, Generator

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset







T = TypeVar("T", bound="Consumer")



@_attrs_define
class Consumer:
    """ A named consumer.

        Attributes:
            connections (int): Live connections.
            cursor (str): Everything up to here is acknowledged.
            name (str): Its name.
            open_ (int): Events that were read for it and are not acknowledged.
            parked (int): Events that are set aside.
     """

    connections: int
    cursor: str
    name: str
    open_: int
    parked: int
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)





    def to_dict(self) -> dict[str, Any]:
        connections = self.connections

        cursor = self.cursor

        name = self.name

        open_ = self.open_

        parked = self.parked


        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update({
            "connections": connections,
            "cursor": cursor,
            "name": name,
            "open": open_,
            "parked": parked,
        })

        return field_dict



    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        connections = d.pop("connections")

        cursor = d.pop("cursor")

        name = d.pop("name")

        open_ = d.pop("open")

        parked = d.pop("parked")

        consumer = cls(
            connections=connections,
            cursor=cursor,
            name=name,
            open_=open_,
            parked=parked,
        )


        consumer.additional_properties = d
        return consumer

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
