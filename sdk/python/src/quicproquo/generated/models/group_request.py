from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, BinaryIO, TextIO, TYPE_CHECKING, Generator

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

from ..models.post_quantum import PostQuantum
from ..models.profile import Profile
from ..types import UNSET, Unset
from typing import cast






T = TypeVar("T", bound="GroupRequest")



@_attrs_define
class GroupRequest:
    """ A group to create.

        Attributes:
            members (list[str] | Unset): Who is invited at once: identities or names.
            name (str | Unset): Shown to members, at most 256 bytes.
            post_quantum (PostQuantum | Unset): Which post-quantum policy a group has, fixed by its ciphersuite.
            profile (Profile | Unset): Which extensions a group uses.
            topic (str | Unset): Shown to members, at most 1,024 bytes.
     """

    members: list[str] | Unset = UNSET
    name: str | Unset = UNSET
    post_quantum: PostQuantum | Unset = UNSET
    profile: Profile | Unset = UNSET
    topic: str | Unset = UNSET





    def to_dict(self) -> dict[str, Any]:
        members: list[str] | Unset = UNSET
        if not isinstance(self.members, Unset):
            members = self.members



        name = self.name

        post_quantum: str | Unset = UNSET
        if not isinstance(self.post_quantum, Unset):
            post_quantum = self.post_quantum.value


        profile: str | Unset = UNSET
        if not isinstance(self.profile, Unset):
            profile = self.profile.value


        topic = self.topic


        field_dict: dict[str, Any] = {}

        field_dict.update({
        })
        if members is not UNSET:
            field_dict["members"] = members
        if name is not UNSET:
            field_dict["name"] = name
        if post_quantum is not UNSET:
            field_dict["post_quantum"] = post_quantum
        if profile is not UNSET:
            field_dict["profile"] = profile
        if topic is not UNSET:
            field_dict["topic"] = topic

        return field_dict



    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        members = cast(list[str], d.pop("members", UNSET))


        name = d.pop("name", UNSET)

        _post_quantum = d.pop("post_quantum", UNSET)
        post_quantum: PostQuantum | Unset
        if isinstance(_post_quantum,  Unset):
            post_quantum = UNSET
        else:
            post_quantum = PostQuantum(_post_quantum)




        _profile = d.pop("profile", UNSET)
        profile: Profile | Unset
        if isinstance(_profile,  Unset):
            profile = UNSET
        else:
            profile = Profile(_profile)




        topic = d.pop("topic", UNSET)

        group_request = cls(
            members=members,
            name=name,
            post_quantum=post_quantum,
            profile=profile,
            topic=topic,
        )

        return group_request

