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





T = TypeVar("T", bound="MemberTyping")



@_attrs_define
class MemberTyping:
    """ `member.typing`: somebody is writing, or has stopped. It is no message, and the log forgets
    it after 30 seconds.

        Attributes:
            active (bool): Whether it is writing.
            expires_at (datetime.datetime): When this is over unless it is said again.
            sender (Identity): An identity.
     """

    active: bool
    expires_at: datetime.datetime
    sender: Identity
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)





    def to_dict(self) -> dict[str, Any]:
        from ..models.identity import Identity # noqa: PLC0415
        active = self.active

        expires_at = self.expires_at.isoformat()

        sender = self.sender.to_dict()


        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update({
            "active": active,
            "expires_at": expires_at,
            "sender": sender,
        })

        return field_dict



    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.identity import Identity # noqa: PLC0415
        d = dict(src_dict)
        active = d.pop("active")

        expires_at = datetime.datetime.fromisoformat(d.pop("expires_at"))




        sender = Identity.from_dict(d.pop("sender"))




        member_typing = cls(
            active=active,
            expires_at=expires_at,
            sender=sender,
        )


        member_typing.additional_properties = d
        return member_typing

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
