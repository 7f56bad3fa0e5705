from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, BinaryIO, TextIO, TYPE_CHECKING, Generator

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

from ..types import UNSET, Unset
from typing import cast






T = TypeVar("T", bound="WebhookHealth")



@_attrs_define
class WebhookHealth:
    """ How a webhook does.

        Attributes:
            enabled (bool): Whether it delivers.
            failed (int): Events of which every attempt failed.
            lag (int): As of a consumer.
            url (str): Where it delivers.
            webhook_id (str): Its id.
            last_error (None | str | Unset): Why the newest event that failed did so, or why it was disabled.
     """

    enabled: bool
    failed: int
    lag: int
    url: str
    webhook_id: str
    last_error: None | str | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)





    def to_dict(self) -> dict[str, Any]:
        enabled = self.enabled

        failed = self.failed

        lag = self.lag

        url = self.url

        webhook_id = self.webhook_id

        last_error: None | str | Unset
        if isinstance(self.last_error, Unset):
            last_error = UNSET
        else:
            last_error = self.last_error


        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update({
            "enabled": enabled,
            "failed": failed,
            "lag": lag,
            "url": url,
            "webhook_id": webhook_id,
        })
        if last_error is not UNSET:
            field_dict["last_error"] = last_error

        return field_dict



    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        enabled = d.pop("enabled")

        failed = d.pop("failed")

        lag = d.pop("lag")

        url = d.pop("url")

        webhook_id = d.pop("webhook_id")

        def _parse_last_error(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        last_error = _parse_last_error(d.pop("last_error", UNSET))


        webhook_health = cls(
            enabled=enabled,
            failed=failed,
            lag=lag,
            url=url,
            webhook_id=webhook_id,
            last_error=last_error,
        )


        webhook_health.additional_properties = d
        return webhook_health

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
