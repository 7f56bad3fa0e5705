from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, BinaryIO, TextIO, TYPE_CHECKING, Generator

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

from typing import cast

if TYPE_CHECKING:
  from ..models.member import Member





T = TypeVar("T", bound="Group")



@_attrs_define
class Group:
    """ A group.

        Attributes:
            ciphersuite (str): Its ciphersuite, as IANA names it.
            epoch (int): Its epoch (RFC 9420 section 7), also in `ETag`.
            group_id (str): Its id, hexadecimal.
            members (list[Member]): Who is in it.
            name (str): Its name.
            post_quantum (str): Its post-quantum policy: `envelope` or `native`.
            profile (str): Its extensions: `standard` or `plain`.
            state (str): Where the bot stands in it: `active`, `leaving`, `left`, `removed`, `declined`,
                `invited`, `isolated` or `needs_readd`.
            topic (str): Its topic.
     """

    ciphersuite: str
    epoch: int
    group_id: str
    members: list[Member]
    name: str
    post_quantum: str
    profile: str
    state: str
    topic: str
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)





    def to_dict(self) -> dict[str, Any]:
        from ..models.member import Member # noqa: PLC0415
        ciphersuite = self.ciphersuite

        epoch = self.epoch

        group_id = self.group_id

        members = []
        for members_item_data in self.members:
            members_item = members_item_data.to_dict()
            members.append(members_item)



        name = self.name

        post_quantum = self.post_quantum

        profile = self.profile

        state = self.state

        topic = self.topic


        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update({
            "ciphersuite": ciphersuite,
            "epoch": epoch,
            "group_id": group_id,
            "members": members,
            "name": name,
            "post_quantum": post_quantum,
            "profile": profile,
            "state": state,
            "topic": topic,
        })

        return field_dict



    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.member import Member # noqa: PLC0415
        d = dict(src_dict)
        ciphersuite = d.pop("ciphersuite")

        epoch = d.pop("epoch")

        group_id = d.pop("group_id")

        members = []
        _members = d.pop("members")
        for members_item_data in (_members):
            members_item = Member.from_dict(members_item_data)



            members.append(members_item)


        name = d.pop("name")

        post_quantum = d.pop("post_quantum")

        profile = d.pop("profile")

        state = d.pop("state")

        topic = d.pop("topic")

        group = cls(
            ciphersuite=ciphersuite,
            epoch=epoch,
            group_id=group_id,
            members=members,
            name=name,
            post_quantum=post_quantum,
            profile=profile,
            state=state,
            topic=topic,
        )


        group.additional_properties = d
        return group

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
