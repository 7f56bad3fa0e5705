from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, BinaryIO, TextIO, TYPE_CHECKING, Generator

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

from ..models.report_state import ReportState
from typing import cast
import datetime






T = TypeVar("T", bound="WebhookDelivery")



@_attrs_define
class WebhookDelivery:
    """ What became of an event on its way to a webhook.

        Attributes:
            attempted_at (datetime.datetime): When the last attempt was.
            attempts (int): How many attempts there were.
            cursor (str): The event's cursor.
            delivery_id (str): Its id: the header `webhook-id` of every attempt.
            error (None | str): Why the last attempt failed: `target_refused` (by the operator's list), `unreachable`,
                `timeout`, `status` (not 2xx) or `gone` (410).
            event_type (str): The event's type.
            group_id (None | str): The event's group.
            next_attempt_at (datetime.datetime | None): When the next attempt is.
            reply_error (None | str): Why the message in the answer was not sent: the last word of the problem's type.
            reply_id (None | str): The message that the answer had sent.
            state (ReportState): What became of an event so far.
            status (int | None): The status of the last answer.
     """

    attempted_at: datetime.datetime
    attempts: int
    cursor: str
    delivery_id: str
    error: None | str
    event_type: str
    group_id: None | str
    next_attempt_at: datetime.datetime | None
    reply_error: None | str
    reply_id: None | str
    state: ReportState
    status: int | None
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)





    def to_dict(self) -> dict[str, Any]:
        attempted_at = self.attempted_at.isoformat()

        attempts = self.attempts

        cursor = self.cursor

        delivery_id = self.delivery_id

        error: None | str
        error = self.error

        event_type = self.event_type

        group_id: None | str
        group_id = self.group_id

        next_attempt_at: None | str
        if isinstance(self.next_attempt_at, datetime.datetime):
            next_attempt_at = self.next_attempt_at.isoformat()
        else:
            next_attempt_at = self.next_attempt_at

        reply_error: None | str
        reply_error = self.reply_error

        reply_id: None | str
        reply_id = self.reply_id

        state = self.state.value

        status: int | None
        status = self.status


        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update({
            "attempted_at": attempted_at,
            "attempts": attempts,
            "cursor": cursor,
            "delivery_id": delivery_id,
            "error": error,
            "event_type": event_type,
            "group_id": group_id,
            "next_attempt_at": next_attempt_at,
            "reply_error": reply_error,
            "reply_id": reply_id,
            "state": state,
            "status": status,
        })

        return field_dict



    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        attempted_at = datetime.datetime.fromisoformat(d.pop("attempted_at"))




        attempts = d.pop("attempts")

        cursor = d.pop("cursor")

        delivery_id = d.pop("delivery_id")

        def _parse_error(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        error = _parse_error(d.pop("error"))


        event_type = d.pop("event_type")

        def _parse_group_id(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        group_id = _parse_group_id(d.pop("group_id"))


        def _parse_next_attempt_at(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                next_attempt_at_type_0 = datetime.datetime.fromisoformat(data)



                return next_attempt_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        next_attempt_at = _parse_next_attempt_at(d.pop("next_attempt_at"))


        def _parse_reply_error(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        reply_error = _parse_reply_error(d.pop("reply_error"))


        def _parse_reply_id(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        reply_id = _parse_reply_id(d.pop("reply_id"))


        state = ReportState(d.pop("state"))




        def _parse_status(data: object) -> int | None:
            if data is None:
                return data
            return cast(int | None, data)

        status = _parse_status(d.pop("status"))


        webhook_delivery = cls(
            attempted_at=attempted_at,
            attempts=attempts,
            cursor=cursor,
            delivery_id=delivery_id,
            error=error,
            event_type=event_type,
            group_id=group_id,
            next_attempt_at=next_attempt_at,
            reply_error=reply_error,
            reply_id=reply_id,
            state=state,
            status=status,
        )


        webhook_delivery.additional_properties = d
        return webhook_delivery

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
