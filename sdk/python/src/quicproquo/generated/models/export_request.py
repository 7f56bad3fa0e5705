from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, BinaryIO, TextIO, TYPE_CHECKING, Generator

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset







T = TypeVar("T", bound="ExportRequest")



@_attrs_define
class ExportRequest:
    """ What to seal an archive under.

        Attributes:
            passphrase (str): Opens the archive again; 12 to 1,024 bytes. Whoever has both is the bot.
     """

    passphrase: str





    def to_dict(self) -> dict[str, Any]:
        passphrase = self.passphrase


        field_dict: dict[str, Any] = {}

        field_dict.update({
            "passphrase": passphrase,
        })

        return field_dict



    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        passphrase = d.pop("passphrase")

        export_request = cls(
            passphrase=passphrase,
        )

        return export_request

