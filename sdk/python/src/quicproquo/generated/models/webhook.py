from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, BinaryIO, TextIO, TYPE_CHECKING, Generator

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

from ..models.webhook_state import WebhookState
from typing import cast
import datetime






T = TypeVar("T", bound="Webhook")



@_attrs_define
class Webhook:
    """ A webhook.

        Attributes:
            created_at (datetime.datetime): When it was made.
            cursor (None | str): Everything up to here is delivered or set aside; `null` before its first event.
            description (str): What its owner calls it.
            failed (int): Events that are set aside: every attempt failed.
            groups (list[str] | None): Only events about these groups; `null` means all.
            open_ (int): Events that are being delivered or wait behind others of their group.
            public_key (str): The key of the `v1a` signatures (Ed25519).
            reason (None | str): Why the gateway disabled it: `gone` (the target answered 410); or what it has lost while it
                goes on: `events_expired` (events grew too old to be delivered). `null` again once the state
                is set.
            replies (bool): Whether a message in an answer is sent.
            state (WebhookState): Whether events are delivered.
            types (list[str] | None): Only these types of events; `null` means all.
            url (str): Where it delivers.
            webhook_id (str): Its id.
     """

    created_at: datetime.datetime
    cursor: None | str
    description: str
    failed: int
    groups: list[str] | None
    open_: int
    public_key: str
    reason: None | str
    replies: bool
    state: WebhookState
    types: list[str] | None
    url: str
    webhook_id: str
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)





    def to_dict(self) -> dict[str, Any]:
        created_at = self.created_at.isoformat()

        cursor: None | str
        cursor = self.cursor

        description = self.description

        failed = self.failed

        groups: list[str] | None
        if isinstance(self.groups, list):
            groups = self.groups


        else:
            groups = self.groups

        open_ = self.open_

        public_key = self.public_key

        reason: None | str
        reason = self.reason

        replies = self.replies

        state = self.state.value

        types: list[str] | None
        if isinstance(self.types, list):
            types = self.types


        else:
            types = self.types

        url = self.url

        webhook_id = self.webhook_id


        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update({
            "created_at": created_at,
            "cursor": cursor,
            "description": description,
            "failed": failed,
            "groups": groups,
            "open": open_,
            "public_key": public_key,
            "reason": reason,
            "replies": replies,
            "state": state,
            "types": types,
            "url": url,
            "webhook_id": webhook_id,
        })

        return field_dict



    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        created_at = datetime.datetime.fromisoformat(d.pop("created_at"))




        def _parse_cursor(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        cursor = _parse_cursor(d.pop("cursor"))


        description = d.pop("description")

        failed = d.pop("failed")

        def _parse_groups(data: object) -> list[str] | None:
            if data is None:
                return data
            try:
                if not isinstance(data, list):
                    raise TypeError()
                groups_type_0 = cast(list[str], data)

                return groups_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(list[str] | None, data)

        groups = _parse_groups(d.pop("groups"))


        open_ = d.pop("open")

        public_key = d.pop("public_key")

        def _parse_reason(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        reason = _parse_reason(d.pop("reason"))


        replies = d.pop("replies")

        state = WebhookState(d.pop("state"))




        def _parse_types(data: object) -> list[str] | None:
            if data is None:
                return data
            try:
                if not isinstance(data, list):
                    raise TypeError()
                types_type_0 = cast(list[str], data)

                return types_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(list[str] | None, data)

        types = _parse_types(d.pop("types"))


        url = d.pop("url")

        webhook_id = d.pop("webhook_id")

        webhook = cls(
            created_at=created_at,
            cursor=cursor,
            description=description,
            failed=failed,
            groups=groups,
            open_=open_,
            public_key=public_key,
            reason=reason,
            replies=replies,
            state=state,
            types=types,
            url=url,
            webhook_id=webhook_id,
        )


        webhook.additional_properties = d
        return webhook

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
