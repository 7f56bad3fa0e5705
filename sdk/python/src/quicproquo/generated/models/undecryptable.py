from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, BinaryIO, TextIO, TYPE_CHECKING, Generator

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset







T = TypeVar("T", bound="Undecryptable")



@_attrs_define
class Undecryptable:
    """ `message.undecryptable`.

        Attributes:
            payload_hash (str): SHA-256 of the payload, hexadecimal.
            reason (str): Why, in a stable word: `malformed` (not a message), `envelope` (it does not open),
                `downgrade` (no envelope where one is due), `mls` (it does not decrypt),
                `unauthorized` (the sender may not do this), `content` (no valid content),
                `welcome_refused` (an invitation that cannot be joined), `buffer_full` (too much waits
                for the group), `expired` (its group or epoch did not come within 7 days), `internal`
                (the protocol stack failed on it), `damaged` (its row in the gateway's database is
                broken).
     """

    payload_hash: str
    reason: str
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)





    def to_dict(self) -> dict[str, Any]:
        payload_hash = self.payload_hash

        reason = self.reason


        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update({
            "payload_hash": payload_hash,
            "reason": reason,
        })

        return field_dict



    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        payload_hash = d.pop("payload_hash")

        reason = d.pop("reason")

        undecryptable = cls(
            payload_hash=payload_hash,
            reason=reason,
        )


        undecryptable.additional_properties = d
        return undecryptable

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
