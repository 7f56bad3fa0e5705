from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, BinaryIO, TextIO, TYPE_CHECKING, Generator

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

from ..types import UNSET, Unset
from typing import cast






T = TypeVar("T", bound="Replay")



@_attrs_define
class Replay:
    """ What to deliver again.

        Attributes:
            delivery_ids (list[str] | Unset): These deliveries, delivered or failed; at most 100.
            failed (bool | Unset): All that failed.
     """

    delivery_ids: list[str] | Unset = UNSET
    failed: bool | Unset = UNSET





    def to_dict(self) -> dict[str, Any]:
        delivery_ids: list[str] | Unset = UNSET
        if not isinstance(self.delivery_ids, Unset):
            delivery_ids = self.delivery_ids



        failed = self.failed


        field_dict: dict[str, Any] = {}

        field_dict.update({
        })
        if delivery_ids is not UNSET:
            field_dict["delivery_ids"] = delivery_ids
        if failed is not UNSET:
            field_dict["failed"] = failed

        return field_dict



    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        delivery_ids = cast(list[str], d.pop("delivery_ids", UNSET))


        failed = d.pop("failed", UNSET)

        replay = cls(
            delivery_ids=delivery_ids,
            failed=failed,
        )

        return replay

