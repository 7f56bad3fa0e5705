from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, BinaryIO, TextIO, TYPE_CHECKING, Generator

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

from ..types import UNSET, Unset
from typing import cast






T = TypeVar("T", bound="WebhookRequest")



@_attrs_define
class WebhookRequest:
    """ A webhook to make.

        Attributes:
            url (str): Where to deliver: a target that the operator of the gateway allows.
            after (None | str | Unset): Begin after this cursor; at the log's tail when absent.
            description (str | Unset): What to call it, at most 200 bytes.
            groups (list[str] | None | Unset): Only events about these groups (ids); all that the token may see when absent.
            replies (bool | None | Unset): Whether a message in an answer is sent: needs the scope `messages:send`. When
                absent, what
                the token may do.
            types (list[str] | None | Unset): Only these types of events; all when absent.
     """

    url: str
    after: None | str | Unset = UNSET
    description: str | Unset = UNSET
    groups: list[str] | None | Unset = UNSET
    replies: bool | None | Unset = UNSET
    types: list[str] | None | Unset = UNSET





    def to_dict(self) -> dict[str, Any]:
        url = self.url

        after: None | str | Unset
        if isinstance(self.after, Unset):
            after = UNSET
        else:
            after = self.after

        description = self.description

        groups: list[str] | None | Unset
        if isinstance(self.groups, Unset):
            groups = UNSET
        elif isinstance(self.groups, list):
            groups = self.groups


        else:
            groups = self.groups

        replies: bool | None | Unset
        if isinstance(self.replies, Unset):
            replies = UNSET
        else:
            replies = self.replies

        types: list[str] | None | Unset
        if isinstance(self.types, Unset):
            types = UNSET
        elif isinstance(self.types, list):
            types = self.types


        else:
            types = self.types


        field_dict: dict[str, Any] = {}

        field_dict.update({
            "url": url,
        })
        if after is not UNSET:
            field_dict["after"] = after
        if description is not UNSET:
            field_dict["description"] = description
        if groups is not UNSET:
            field_dict["groups"] = groups
        if replies is not UNSET:
            field_dict["replies"] = replies
        if types is not UNSET:
            field_dict["types"] = types

        return field_dict



    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        url = d.pop("url")

        def _parse_after(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        after = _parse_after(d.pop("after", UNSET))


        description = d.pop("description", UNSET)

        def _parse_groups(data: object) -> list[str] | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, list):
                    raise TypeError()
                groups_type_0 = cast(list[str], data)

                return groups_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(list[str] | None | Unset, data)

        groups = _parse_groups(d.pop("groups", UNSET))


        def _parse_replies(data: object) -> bool | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(bool | None | Unset, data)

        replies = _parse_replies(d.pop("replies", UNSET))


        def _parse_types(data: object) -> list[str] | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, list):
                    raise TypeError()
                types_type_0 = cast(list[str], data)

                return types_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(list[str] | None | Unset, data)

        types = _parse_types(d.pop("types", UNSET))


        webhook_request = cls(
            url=url,
            after=after,
            description=description,
            groups=groups,
            replies=replies,
            types=types,
        )

        return webhook_request

