from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, BinaryIO, TextIO, TYPE_CHECKING, Generator

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

from typing import cast
import datetime






T = TypeVar("T", bound="GroupHealth")



@_attrs_define
class GroupHealth:
    """ How a group does.

        Attributes:
            change_pending (bool): A change that the bot asked for waits for its commit; messages wait for it too.
            epoch (int): Its epoch.
            group_id (str): The group's id.
            healthy (bool): Whether what is sent now goes out at once: the bot is an active member, its link to the
                node is up, and no change waits.
            keys_updated_at (datetime.datetime | None): When the bot's keys in it were last replaced.
            last_message_at (datetime.datetime | None): When the newest message came or was sent.
            members (int): How many are in it.
            node_reached (bool): Whether the bot's link to the node is up.
            queued (int): Messages of the bot that are not known to be at the node, among its newest 10,000.
            state (str): Where the bot stands in it, as in the group.
            unverified (int): Those of them that are not verified.
     """

    change_pending: bool
    epoch: int
    group_id: str
    healthy: bool
    keys_updated_at: datetime.datetime | None
    last_message_at: datetime.datetime | None
    members: int
    node_reached: bool
    queued: int
    state: str
    unverified: int
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)





    def to_dict(self) -> dict[str, Any]:
        change_pending = self.change_pending

        epoch = self.epoch

        group_id = self.group_id

        healthy = self.healthy

        keys_updated_at: None | str
        if isinstance(self.keys_updated_at, datetime.datetime):
            keys_updated_at = self.keys_updated_at.isoformat()
        else:
            keys_updated_at = self.keys_updated_at

        last_message_at: None | str
        if isinstance(self.last_message_at, datetime.datetime):
            last_message_at = self.last_message_at.isoformat()
        else:
            last_message_at = self.last_message_at

        members = self.members

        node_reached = self.node_reached

        queued = self.queued

        state = self.state

        unverified = self.unverified


        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update({
            "change_pending": change_pending,
            "epoch": epoch,
            "group_id": group_id,
            "healthy": healthy,
            "keys_updated_at": keys_updated_at,
            "last_message_at": last_message_at,
            "members": members,
            "node_reached": node_reached,
            "queued": queued,
            "state": state,
            "unverified": unverified,
        })

        return field_dict



    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        change_pending = d.pop("change_pending")

        epoch = d.pop("epoch")

        group_id = d.pop("group_id")

        healthy = d.pop("healthy")

        def _parse_keys_updated_at(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                keys_updated_at_type_0 = datetime.datetime.fromisoformat(data)



                return keys_updated_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        keys_updated_at = _parse_keys_updated_at(d.pop("keys_updated_at"))


        def _parse_last_message_at(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                last_message_at_type_0 = datetime.datetime.fromisoformat(data)



                return last_message_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        last_message_at = _parse_last_message_at(d.pop("last_message_at"))


        members = d.pop("members")

        node_reached = d.pop("node_reached")

        queued = d.pop("queued")

        state = d.pop("state")

        unverified = d.pop("unverified")

        group_health = cls(
            change_pending=change_pending,
            epoch=epoch,
            group_id=group_id,
            healthy=healthy,
            keys_updated_at=keys_updated_at,
            last_message_at=last_message_at,
            members=members,
            node_reached=node_reached,
            queued=queued,
            state=state,
            unverified=unverified,
        )


        group_health.additional_properties = d
        return group_health

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
