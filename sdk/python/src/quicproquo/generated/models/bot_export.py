from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, BinaryIO, TextIO, TYPE_CHECKING, Generator

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset







T = TypeVar("T", bound="BotExport")



@_attrs_define
class BotExport:
    """ A sealed archive.

        Attributes:
            archive (str): The archive, in Base64.
            bot_id (str): The bot's id here.
            identity (str): Its identity: an Ed25519 key, 64 hexadecimal digits.
            name (str): Its name.
     """

    archive: str
    bot_id: str
    identity: str
    name: str
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)





    def to_dict(self) -> dict[str, Any]:
        archive = self.archive

        bot_id = self.bot_id

        identity = self.identity

        name = self.name


        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update({
            "archive": archive,
            "bot_id": bot_id,
            "identity": identity,
            "name": name,
        })

        return field_dict



    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        archive = d.pop("archive")

        bot_id = d.pop("bot_id")

        identity = d.pop("identity")

        name = d.pop("name")

        bot_export = cls(
            archive=archive,
            bot_id=bot_id,
            identity=identity,
            name=name,
        )


        bot_export.additional_properties = d
        return bot_export

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
