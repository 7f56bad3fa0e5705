from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, BinaryIO, TextIO, TYPE_CHECKING, Generator

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

from typing import cast






T = TypeVar("T", bound="MembersRequest")



@_attrs_define
class MembersRequest:
    """ Who to add.

        Attributes:
            members (list[str]): Identities or names; all are added by one commit.
     """

    members: list[str]





    def to_dict(self) -> dict[str, Any]:
        members = self.members




        field_dict: dict[str, Any] = {}

        field_dict.update({
            "members": members,
        })

        return field_dict



    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        members = cast(list[str], d.pop("members"))


        members_request = cls(
            members=members,
        )

        return members_request

