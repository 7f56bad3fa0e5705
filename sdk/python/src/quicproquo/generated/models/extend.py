from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, BinaryIO, TextIO, TYPE_CHECKING, Generator

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

from ..types import UNSET, Unset
from typing import cast






T = TypeVar("T", bound="Extend")



@_attrs_define
class Extend:
    """ Deliveries that take longer.

        Attributes:
            consumer (str): The consumer.
            ids (list[str]): These deliveries (their `delivery_id`).
            lease_ms (int | None | Unset): How long from now, in milliseconds, 1,000 to 600,000; 30,000 when absent.
     """

    consumer: str
    ids: list[str]
    lease_ms: int | None | Unset = UNSET





    def to_dict(self) -> dict[str, Any]:
        consumer = self.consumer

        ids = self.ids



        lease_ms: int | None | Unset
        if isinstance(self.lease_ms, Unset):
            lease_ms = UNSET
        else:
            lease_ms = self.lease_ms


        field_dict: dict[str, Any] = {}

        field_dict.update({
            "consumer": consumer,
            "ids": ids,
        })
        if lease_ms is not UNSET:
            field_dict["lease_ms"] = lease_ms

        return field_dict



    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        consumer = d.pop("consumer")

        ids = cast(list[str], d.pop("ids"))


        def _parse_lease_ms(data: object) -> int | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(int | None | Unset, data)

        lease_ms = _parse_lease_ms(d.pop("lease_ms", UNSET))


        extend = cls(
            consumer=consumer,
            ids=ids,
            lease_ms=lease_ms,
        )

        return extend

