from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, BinaryIO, TextIO, TYPE_CHECKING, Generator

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

from ..models.group_change_failed_event_type import GroupChangeFailedEventType
from ..types import UNSET, Unset
from typing import cast
import datetime

if TYPE_CHECKING:
  from ..models.group_reason import GroupReason





T = TypeVar("T", bound="GroupChangeFailedEvent")



@_attrs_define
class GroupChangeFailedEvent:
    """ A change that this bot asked for cannot be made any more; or a member that asks to be added again cannot be.

        Attributes:
            attempt (int): 1, and more when a consumer did not acknowledge it before.
            cursor (str): Its position: give it as `after` to go on behind it.
            data (GroupReason): `group.isolated`, `group.change_failed`, `group.needs_readd` (`forked`, `missed_commit`,
                `old_copy` or `unanswered`), `group.repaired` (`rejoined`, `caught_up`, `readable`, `alone` or
                `unconfirmed`).
            group_id (None | str): The group it is about.
            occurred_at (datetime.datetime): When it was written.
            type_ (GroupChangeFailedEventType):
            delivery_id (None | str | Unset): Names this delivery to a consumer, which acknowledges it.
            replayed (bool | None | Unset): `true` when it was asked for again: other events of its group may have come
                before.
     """

    attempt: int
    cursor: str
    data: GroupReason
    group_id: None | str
    occurred_at: datetime.datetime
    type_: GroupChangeFailedEventType
    delivery_id: None | str | Unset = UNSET
    replayed: bool | None | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)





    def to_dict(self) -> dict[str, Any]:
        from ..models.group_reason import GroupReason # noqa: PLC0415
        attempt = self.attempt

        cursor = self.cursor

        data = self.data.to_dict()

        group_id: None | str
        group_id = self.group_id

        occurred_at = self.occurred_at.isoformat()

        type_ = self.type_.value

        delivery_id: None | str | Unset
        if isinstance(self.delivery_id, Unset):
            delivery_id = UNSET
        else:
            delivery_id = self.delivery_id

        replayed: bool | None | Unset
        if isinstance(self.replayed, Unset):
            replayed = UNSET
        else:
            replayed = self.replayed


        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update({
            "attempt": attempt,
            "cursor": cursor,
            "data": data,
            "group_id": group_id,
            "occurred_at": occurred_at,
            "type": type_,
        })
        if delivery_id is not UNSET:
            field_dict["delivery_id"] = delivery_id
        if replayed is not UNSET:
            field_dict["replayed"] = replayed

        return field_dict



    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.group_reason import GroupReason # noqa: PLC0415
        d = dict(src_dict)
        attempt = d.pop("attempt")

        cursor = d.pop("cursor")

        data = GroupReason.from_dict(d.pop("data"))




        def _parse_group_id(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        group_id = _parse_group_id(d.pop("group_id"))


        occurred_at = datetime.datetime.fromisoformat(d.pop("occurred_at"))




        type_ = GroupChangeFailedEventType(d.pop("type"))




        def _parse_delivery_id(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        delivery_id = _parse_delivery_id(d.pop("delivery_id", UNSET))


        def _parse_replayed(data: object) -> bool | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(bool | None | Unset, data)

        replayed = _parse_replayed(d.pop("replayed", UNSET))


        group_change_failed_event = cls(
            attempt=attempt,
            cursor=cursor,
            data=data,
            group_id=group_id,
            occurred_at=occurred_at,
            type_=type_,
            delivery_id=delivery_id,
            replayed=replayed,
        )


        group_change_failed_event.additional_properties = d
        return group_change_failed_event

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
