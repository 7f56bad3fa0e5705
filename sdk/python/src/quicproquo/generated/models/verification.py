from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, BinaryIO, TextIO, TYPE_CHECKING, Generator

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

from ..types import UNSET, Unset
from typing import cast






T = TypeVar("T", bound="Verification")



@_attrs_define
class Verification:
    """ Whether an identity is verified.

        Attributes:
            verified (bool): `true`: a person has compared the safety number; `false`: that no longer counts.
            safety_number (None | str | Unset): The safety number as the other side shows it; refused when it is another.
                Spaces do not
                count.
     """

    verified: bool
    safety_number: None | str | Unset = UNSET





    def to_dict(self) -> dict[str, Any]:
        verified = self.verified

        safety_number: None | str | Unset
        if isinstance(self.safety_number, Unset):
            safety_number = UNSET
        else:
            safety_number = self.safety_number


        field_dict: dict[str, Any] = {}

        field_dict.update({
            "verified": verified,
        })
        if safety_number is not UNSET:
            field_dict["safety_number"] = safety_number

        return field_dict



    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        verified = d.pop("verified")

        def _parse_safety_number(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        safety_number = _parse_safety_number(d.pop("safety_number", UNSET))


        verification = cls(
            verified=verified,
            safety_number=safety_number,
        )

        return verification

