from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, BinaryIO, TextIO, TYPE_CHECKING, Generator

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

from typing import cast
import datetime






T = TypeVar("T", bound="KnownIdentity")



@_attrs_define
class KnownIdentity:
    """ An identity, and how well it is known.

        Attributes:
            fingerprint (str): 30 digits made of its key: its half of every safety number.
            first_seen_at (datetime.datetime | None): When this bot met it first.
            identity (str): An Ed25519 key, 64 hexadecimal digits.
            name (None | str): The name it signed for, if it is known here.
            names (list[str]): All names it signed for that are known here.
            safety_number (None | str): 60 digits made of its key and this bot's, the same on both sides: who compares them
                by
                another way knows that nobody stands between. `null` for the bot itself.
            trust (str): How well the key is known: `verified`, `tofu` (trusted on first use) or `changed` (a name
                of it pointed to another key before).
            verified_at (datetime.datetime | None): When it was verified.
     """

    fingerprint: str
    first_seen_at: datetime.datetime | None
    identity: str
    name: None | str
    names: list[str]
    safety_number: None | str
    trust: str
    verified_at: datetime.datetime | None
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)





    def to_dict(self) -> dict[str, Any]:
        fingerprint = self.fingerprint

        first_seen_at: None | str
        if isinstance(self.first_seen_at, datetime.datetime):
            first_seen_at = self.first_seen_at.isoformat()
        else:
            first_seen_at = self.first_seen_at

        identity = self.identity

        name: None | str
        name = self.name

        names = self.names



        safety_number: None | str
        safety_number = self.safety_number

        trust = self.trust

        verified_at: None | str
        if isinstance(self.verified_at, datetime.datetime):
            verified_at = self.verified_at.isoformat()
        else:
            verified_at = self.verified_at


        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update({
            "fingerprint": fingerprint,
            "first_seen_at": first_seen_at,
            "identity": identity,
            "name": name,
            "names": names,
            "safety_number": safety_number,
            "trust": trust,
            "verified_at": verified_at,
        })

        return field_dict



    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        fingerprint = d.pop("fingerprint")

        def _parse_first_seen_at(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                first_seen_at_type_0 = datetime.datetime.fromisoformat(data)



                return first_seen_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        first_seen_at = _parse_first_seen_at(d.pop("first_seen_at"))


        identity = d.pop("identity")

        def _parse_name(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        name = _parse_name(d.pop("name"))


        names = cast(list[str], d.pop("names"))


        def _parse_safety_number(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        safety_number = _parse_safety_number(d.pop("safety_number"))


        trust = d.pop("trust")

        def _parse_verified_at(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                verified_at_type_0 = datetime.datetime.fromisoformat(data)



                return verified_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        verified_at = _parse_verified_at(d.pop("verified_at"))


        known_identity = cls(
            fingerprint=fingerprint,
            first_seen_at=first_seen_at,
            identity=identity,
            name=name,
            names=names,
            safety_number=safety_number,
            trust=trust,
            verified_at=verified_at,
        )


        known_identity.additional_properties = d
        return known_identity

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
