from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, BinaryIO, TextIO, TYPE_CHECKING, Generator

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

from ..models.invite_policy_ask_policy import InvitePolicyAskPolicy






T = TypeVar("T", bound="InvitePolicyAsk")



@_attrs_define
class InvitePolicyAsk:
    """ They are kept until the bot answers them.

        Attributes:
            policy (InvitePolicyAskPolicy):
     """

    policy: InvitePolicyAskPolicy





    def to_dict(self) -> dict[str, Any]:
        policy = self.policy.value


        field_dict: dict[str, Any] = {}

        field_dict.update({
            "policy": policy,
        })

        return field_dict



    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        policy = InvitePolicyAskPolicy(d.pop("policy"))




        invite_policy_ask = cls(
            policy=policy,
        )

        return invite_policy_ask

