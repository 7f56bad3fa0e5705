from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, BinaryIO, TextIO, TYPE_CHECKING, Generator

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset







T = TypeVar("T", bound="ImportRequest")



@_attrs_define
class ImportRequest:
    """ An archive to import.

        Attributes:
            archive (str): The archive as it was exported, in Base64.
            passphrase (str): What it was sealed under.
     """

    archive: str
    passphrase: str





    def to_dict(self) -> dict[str, Any]:
        archive = self.archive

        passphrase = self.passphrase


        field_dict: dict[str, Any] = {}

        field_dict.update({
            "archive": archive,
            "passphrase": passphrase,
        })

        return field_dict



    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        archive = d.pop("archive")

        passphrase = d.pop("passphrase")

        import_request = cls(
            archive=archive,
            passphrase=passphrase,
        )

        return import_request

