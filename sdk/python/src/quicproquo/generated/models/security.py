from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, BinaryIO, TextIO, TYPE_CHECKING, Generator

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset







T = TypeVar("T", bound="Security")



@_attrs_define
class Security:
    """ How a message was protected.

        Attributes:
            ciphersuite (str): The ciphersuite, as IANA names it.
            post_quantum (str): The post-quantum policy: `envelope` or `native`.
            protocol (str): Always `mls-1.0` (RFC 9420).
            trust (str): How well the sender's key is known: `verified`, `tofu` or `changed`.
     """

    ciphersuite: str
    post_quantum: str
    protocol: str
    trust: str
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)





    def to_dict(self) -> dict[str, Any]:
        ciphersuite = self.ciphersuite

        post_quantum = self.post_quantum

        protocol = self.protocol

        trust = self.trust


        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update({
            "ciphersuite": ciphersuite,
            "post_quantum": post_quantum,
            "protocol": protocol,
            "trust": trust,
        })

        return field_dict



    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        ciphersuite = d.pop("ciphersuite")

        post_quantum = d.pop("post_quantum")

        protocol = d.pop("protocol")

        trust = d.pop("trust")

        security = cls(
            ciphersuite=ciphersuite,
            post_quantum=post_quantum,
            protocol=protocol,
            trust=trust,
        )


        security.additional_properties = d
        return security

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
