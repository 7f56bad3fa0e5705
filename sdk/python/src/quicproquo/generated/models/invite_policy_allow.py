from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, BinaryIO, TextIO, TYPE_CHECKING, Generator

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

from ..models.invite_policy_allow_policy import InvitePolicyAllowPolicy
from typing import cast






T = TypeVar("T", bound="InvitePolicyAllow")



@_attrs_define
class InvitePolicyAllow:
    """ Those by some identities are accepted, the others kept.

        Attributes:
            identities (list[str]): The identities, 64 hexadecimal digits each.
            policy (InvitePolicyAllowPolicy):
     """

    identities: list[str]
    policy: InvitePolicyAllowPolicy





    def to_dict(self) -> dict[str, Any]:
        identities = self.identities



        policy = self.policy.value


        field_dict: dict[str, Any] = {}

        field_dict.update({
            "identities": identities,
            "policy": policy,
        })

        return field_dict



    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        identities = cast(list[str], d.pop("identities"))


        policy = InvitePolicyAllowPolicy(d.pop("policy"))




        invite_policy_allow = cls(
            identities=identities,
            policy=policy,
        )

        return invite_policy_allow

