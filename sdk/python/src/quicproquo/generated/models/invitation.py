from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, BinaryIO, TextIO, TYPE_CHECKING, Generator

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

from typing import cast
import datetime

if TYPE_CHECKING:
  from ..models.identity import Identity





T = TypeVar("T", bound="Invitation")



@_attrs_define
class Invitation:
    """ A group somebody added the bot to, not answered yet.

        Attributes:
            group_id (str): The group's id.
            group_name (str): The group's name.
            invitation_id (str): Its id.
            inviter (Identity): An identity.
            known_group (bool): Whether the bot was in this group before.
            member_count (int): How many members the group has.
            received_at (datetime.datetime): When it came.
     """

    group_id: str
    group_name: str
    invitation_id: str
    inviter: Identity
    known_group: bool
    member_count: int
    received_at: datetime.datetime
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)





    def to_dict(self) -> dict[str, Any]:
        from ..models.identity import Identity # noqa: PLC0415
        group_id = self.group_id

        group_name = self.group_name

        invitation_id = self.invitation_id

        inviter = self.inviter.to_dict()

        known_group = self.known_group

        member_count = self.member_count

        received_at = self.received_at.isoformat()


        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update({
            "group_id": group_id,
            "group_name": group_name,
            "invitation_id": invitation_id,
            "inviter": inviter,
            "known_group": known_group,
            "member_count": member_count,
            "received_at": received_at,
        })

        return field_dict



    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.identity import Identity # noqa: PLC0415
        d = dict(src_dict)
        group_id = d.pop("group_id")

        group_name = d.pop("group_name")

        invitation_id = d.pop("invitation_id")

        inviter = Identity.from_dict(d.pop("inviter"))




        known_group = d.pop("known_group")

        member_count = d.pop("member_count")

        received_at = datetime.datetime.fromisoformat(d.pop("received_at"))




        invitation = cls(
            group_id=group_id,
            group_name=group_name,
            invitation_id=invitation_id,
            inviter=inviter,
            known_group=known_group,
            member_count=member_count,
            received_at=received_at,
        )


        invitation.additional_properties = d
        return invitation

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
