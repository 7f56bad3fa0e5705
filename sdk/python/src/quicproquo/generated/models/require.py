from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, BinaryIO, TextIO, TYPE_CHECKING, Generator

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

from ..models.required_trust import RequiredTrust






T = TypeVar("T", bound="Require")



@_attrs_define
class Require:
    """ What must be so for a message to be sent.

        Attributes:
            trust (RequiredTrust): How well keys must be known.
     """

    trust: RequiredTrust





    def to_dict(self) -> dict[str, Any]:
        trust = self.trust.value


        field_dict: dict[str, Any] = {}

        field_dict.update({
            "trust": trust,
        })

        return field_dict



    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        trust = RequiredTrust(d.pop("trust"))




        require = cls(
            trust=trust,
        )

        return require

