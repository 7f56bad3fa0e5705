from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, BinaryIO, TextIO, TYPE_CHECKING, Generator

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

from ..types import UNSET, Unset
from typing import cast

if TYPE_CHECKING:
  from ..models.consumer_lag import ConsumerLag
  from ..models.key_package_stock import KeyPackageStock
  from ..models.webhook_health import WebhookHealth





T = TypeVar("T", bound="BotHealth")



@_attrs_define
class BotHealth:
    """ How a bot does, in detail.

        Attributes:
            groups (int): Groups that it is in.
            key_packages (list[KeyPackageStock]): One-time key packages at the node, as last reported.
            outbox (int): Own payloads that are not yet durable at the node.
            clock_ahead_seconds (int | None | Unset): By how many seconds the gateway's clock was ahead of the node's
                (behind: negative) when they
                were linked last, if it was more than ten minutes.
            consumers (list[ConsumerLag] | None | Unset): Its consumers; only when one bot is asked for.
            reason (None | str | Unset): Why the node refuses it, or which instance displaced it.
            webhooks (list[WebhookHealth] | None | Unset): Its webhooks; only when one bot is asked for.
     """

    groups: int
    key_packages: list[KeyPackageStock]
    outbox: int
    clock_ahead_seconds: int | None | Unset = UNSET
    consumers: list[ConsumerLag] | None | Unset = UNSET
    reason: None | str | Unset = UNSET
    webhooks: list[WebhookHealth] | None | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)





    def to_dict(self) -> dict[str, Any]:
        from ..models.consumer_lag import ConsumerLag # noqa: PLC0415
        from ..models.key_package_stock import KeyPackageStock # noqa: PLC0415
        from ..models.webhook_health import WebhookHealth # noqa: PLC0415
        groups = self.groups

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

        consumers: list[dict[str, Any]] | None | Unset
        if isinstance(self.consumers, Unset):
            consumers = UNSET
        elif isinstance(self.consumers, list):
            consumers = []
            for consumers_type_0_item_data in self.consumers:
                consumers_type_0_item = consumers_type_0_item_data.to_dict()
                consumers.append(consumers_type_0_item)


        else:
            consumers = self.consumers

        reason: None | str | Unset
        if isinstance(self.reason, Unset):
            reason = UNSET
        else:
            reason = self.reason

        webhooks: list[dict[str, Any]] | None | Unset
        if isinstance(self.webhooks, Unset):
            webhooks = UNSET
        elif isinstance(self.webhooks, list):
            webhooks = []
            for webhooks_type_0_item_data in self.webhooks:
                webhooks_type_0_item = webhooks_type_0_item_data.to_dict()
                webhooks.append(webhooks_type_0_item)


        else:
            webhooks = self.webhooks


        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update({
            "groups": groups,
            "key_packages": key_packages,
            "outbox": outbox,
        })
        if clock_ahead_seconds is not UNSET:
            field_dict["clock_ahead_seconds"] = clock_ahead_seconds
        if consumers is not UNSET:
            field_dict["consumers"] = consumers
        if reason is not UNSET:
            field_dict["reason"] = reason
        if webhooks is not UNSET:
            field_dict["webhooks"] = webhooks

        return field_dict



    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.consumer_lag import ConsumerLag # noqa: PLC0415
        from ..models.key_package_stock import KeyPackageStock # noqa: PLC0415
        from ..models.webhook_health import WebhookHealth # noqa: PLC0415
        d = dict(src_dict)
        groups = d.pop("groups")

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


        def _parse_consumers(data: object) -> list[ConsumerLag] | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, list):
                    raise TypeError()
                consumers_type_0 = []
                _consumers_type_0 = data
                for consumers_type_0_item_data in (_consumers_type_0):
                    consumers_type_0_item = ConsumerLag.from_dict(consumers_type_0_item_data)



                    consumers_type_0.append(consumers_type_0_item)

                return consumers_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(list[ConsumerLag] | None | Unset, data)

        consumers = _parse_consumers(d.pop("consumers", UNSET))


        def _parse_reason(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        reason = _parse_reason(d.pop("reason", UNSET))


        def _parse_webhooks(data: object) -> list[WebhookHealth] | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, list):
                    raise TypeError()
                webhooks_type_0 = []
                _webhooks_type_0 = data
                for webhooks_type_0_item_data in (_webhooks_type_0):
                    webhooks_type_0_item = WebhookHealth.from_dict(webhooks_type_0_item_data)



                    webhooks_type_0.append(webhooks_type_0_item)

                return webhooks_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(list[WebhookHealth] | None | Unset, data)

        webhooks = _parse_webhooks(d.pop("webhooks", UNSET))


        bot_health = cls(
            groups=groups,
            key_packages=key_packages,
            outbox=outbox,
            clock_ahead_seconds=clock_ahead_seconds,
            consumers=consumers,
            reason=reason,
            webhooks=webhooks,
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
