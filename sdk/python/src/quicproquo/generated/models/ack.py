from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, BinaryIO, TextIO, TYPE_CHECKING, Generator

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

from ..types import UNSET, Unset
from typing import cast






T = TypeVar("T", bound="Ack")



@_attrs_define
class Ack:
    """ What a consumer has handled.

        Attributes:
            consumer (str): The consumer.
            ids (list[str] | Unset): These deliveries (their `delivery_id`). One that is set aside is thrown away.
            up_to (None | str | Unset): A delivery: it and all before it on its connection, or in its answer, are handled.
                Or a
                cursor: everything up to it is, whoever has it.
     """

    consumer: str
    ids: list[str] | Unset = UNSET
    up_to: None | str | Unset = UNSET





    def to_dict(self) -> dict[str, Any]:
        consumer = self.consumer

        ids: list[str] | Unset = UNSET
        if not isinstance(self.ids, Unset):
            ids = self.ids



        up_to: None | str | Unset
        if isinstance(self.up_to, Unset):
            up_to = UNSET
        else:
            up_to = self.up_to


        field_dict: dict[str, Any] = {}

        field_dict.update({
            "consumer": consumer,
        })
        if ids is not UNSET:
            field_dict["ids"] = ids
        if up_to is not UNSET:
            field_dict["up_to"] = up_to

        return field_dict



    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        consumer = d.pop("consumer")

        ids = cast(list[str], d.pop("ids", UNSET))


        def _parse_up_to(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        up_to = _parse_up_to(d.pop("up_to", UNSET))


        ack = cls(
            consumer=consumer,
            ids=ids,
            up_to=up_to,
        )

        return ack

