from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, BinaryIO, TextIO, TYPE_CHECKING, Generator

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

from typing import cast






T = TypeVar("T", bound="Attachment")



@_attrs_define
class Attachment:
    """ A file that was uploaded. As it is, it can be the `content` of a message of type `file`.

        Attributes:
            attachment_id (str): Its id.
            mime (None | str): Its media type.
            name (None | str): Its name.
            size (int): Its bytes.
     """

    attachment_id: str
    mime: None | str
    name: None | str
    size: int
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)





    def to_dict(self) -> dict[str, Any]:
        attachment_id = self.attachment_id

        mime: None | str
        mime = self.mime

        name: None | str
        name = self.name

        size = self.size


        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update({
            "attachment_id": attachment_id,
            "mime": mime,
            "name": name,
            "size": size,
        })

        return field_dict



    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        attachment_id = d.pop("attachment_id")

        def _parse_mime(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        mime = _parse_mime(d.pop("mime"))


        def _parse_name(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        name = _parse_name(d.pop("name"))


        size = d.pop("size")

        attachment = cls(
            attachment_id=attachment_id,
            mime=mime,
            name=name,
            size=size,
        )


        attachment.additional_properties = d
        return attachment

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
