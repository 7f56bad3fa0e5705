from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, BinaryIO, TextIO, TYPE_CHECKING, Generator

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

from ..types import UNSET, Unset
from typing import cast

if TYPE_CHECKING:
  from ..models.key_package_stock import KeyPackageStock





T = TypeVar("T", bound="BotHealth")



@_attrs_define
class BotHealth:
    """ How a bot does, in detail.

        Attributes:
            key_packages (list[KeyPackageStock]): One-time key packages at the node, as last reported.
            outbox (int): Own payloads that are not yet durable at the node.
            clock_ahead_seconds (int | None | Unset): By how many seconds the gateway's clock was ahead of the node's
                (behind: negative) when they
                were linked last, if it was more than ten minutes.
            reason (None | str | Unset): Why the node refuses it, or which instance displaced it.
     """

    key_packages: list[KeyPackageStock]
    outbox: int
    clock_ahead_seconds: int | None | Unset = UNSET
    reason: None | str | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)





    def to_dict(self) -> dict[str, Any]:
        from ..models.key_package_stock import KeyPackageStock # noqa: PLC0415
        key_packages = []
        for key_packages_item_data in self.key_packages:
            key_packages_item = key_packages_item_data.to_dict()
            key_packages.append(key_packages_item)



        outbox = self.outbox

        clock_ahead_seconds: int | None | Unset
        if isinstance(self.clock_ahead_seconds, Unset):
            clock_ahead_seconds = UNSET
        else:
            clock_ahead_seconds = self.clock_ahead_seconds

        reason: None | str | Unset
        if isinstance(self.reason, Unset):
            reason = UNSET
        else:
            reason = self.reason


        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update({
            "key_packages": key_packages,
            "outbox": outbox,
        })
        if clock_ahead_seconds is not UNSET:
            field_dict["clock_ahead_seconds"] = clock_ahead_seconds
        if reason is not UNSET:
            field_dict["reason"] = reason

        return field_dict



    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.key_package_stock import KeyPackageStock # noqa: PLC0415
        d = dict(src_dict)
        key_packages = []
        _key_packages = d.pop("key_packages")
        for key_packages_item_data in (_key_packages):
            key_packages_item = KeyPackageStock.from_dict(key_packages_item_data)



            key_packages.append(key_packages_item)


        outbox = d.pop("outbox")

        def _parse_clock_ahead_seconds(data: object) -> int | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(int | None | Unset, data)

        clock_ahead_seconds = _parse_clock_ahead_seconds(d.pop("clock_ahead_seconds", UNSET))


        def _parse_reason(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        reason = _parse_reason(d.pop("reason", UNSET))


        bot_health = cls(
            key_packages=key_packages,
            outbox=outbox,
            clock_ahead_seconds=clock_ahead_seconds,
            reason=reason,
        )


        bot_health.additional_properties = d
        return bot_health

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
