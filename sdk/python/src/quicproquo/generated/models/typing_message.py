from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, BinaryIO, TextIO, TYPE_CHECKING, Generator

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

from ..models.typing_message_type import TypingMessageType
from typing import cast
import datetime

if TYPE_CHECKING:
  from ..models.delivery import Delivery
  from ..models.identity import Identity
  from ..models.reaction import Reaction
  from ..models.relates_to import RelatesTo
  from ..models.security import Security
  from ..models.typing_content import TypingContent





T = TypeVar("T", bound="TypingMessage")



@_attrs_define
class TypingMessage:
    """ That the bot is writing, as the answer to sending it.

        Attributes:
            content (TypingContent): The content of a notice that somebody is writing.
            deleted_at (datetime.datetime | None): When its sender deleted it (the gateway's clock). Its `type` is `deleted`
                then, and its
                `content` is null.
            delivery (Delivery): How far a message has come.
            edited_at (datetime.datetime | None): When its sender last changed it (the gateway's clock); `content` is the
                one of now.
            epoch (int): The epoch it was encrypted in.
            group_id (str): The group's id.
            message_id (str): Chosen by its sender: unique only together with group and sender.
            reactions (list[Reaction]): How members have reacted, the oldest reaction first.
            received_at (datetime.datetime): The gateway's clock when it was decrypted, or sent.
            relates_to (None | RelatesTo): What it answers or changes.
            security (Security): How a message was protected.
            sender (Identity): An identity.
            sent_at (datetime.datetime): The sender's clock.
            type_ (TypingMessageType):
     """

    content: TypingContent
    deleted_at: datetime.datetime | None
    delivery: Delivery
    edited_at: datetime.datetime | None
    epoch: int
    group_id: str
    message_id: str
    reactions: list[Reaction]
    received_at: datetime.datetime
    relates_to: None | RelatesTo
    security: Security
    sender: Identity
    sent_at: datetime.datetime
    type_: TypingMessageType
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)





    def to_dict(self) -> dict[str, Any]:
        from ..models.delivery import Delivery # noqa: PLC0415
        from ..models.identity import Identity # noqa: PLC0415
        from ..models.reaction import Reaction # noqa: PLC0415
        from ..models.relates_to import RelatesTo # noqa: PLC0415
        from ..models.security import Security # noqa: PLC0415
        from ..models.typing_content import TypingContent # noqa: PLC0415
        content = self.content.to_dict()

        deleted_at: None | str
        if isinstance(self.deleted_at, datetime.datetime):
            deleted_at = self.deleted_at.isoformat()
        else:
            deleted_at = self.deleted_at

        delivery = self.delivery.to_dict()

        edited_at: None | str
        if isinstance(self.edited_at, datetime.datetime):
            edited_at = self.edited_at.isoformat()
        else:
            edited_at = self.edited_at

        epoch = self.epoch

        group_id = self.group_id

        message_id = self.message_id

        reactions = []
        for reactions_item_data in self.reactions:
            reactions_item = reactions_item_data.to_dict()
            reactions.append(reactions_item)



        received_at = self.received_at.isoformat()

        relates_to: dict[str, Any] | None
        if isinstance(self.relates_to, RelatesTo):
            relates_to = self.relates_to.to_dict()
        else:
            relates_to = self.relates_to

        security = self.security.to_dict()

        sender = self.sender.to_dict()

        sent_at = self.sent_at.isoformat()

        type_ = self.type_.value


        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update({
            "content": content,
            "deleted_at": deleted_at,
            "delivery": delivery,
            "edited_at": edited_at,
            "epoch": epoch,
            "group_id": group_id,
            "message_id": message_id,
            "reactions": reactions,
            "received_at": received_at,
            "relates_to": relates_to,
            "security": security,
            "sender": sender,
            "sent_at": sent_at,
            "type": type_,
        })

        return field_dict



    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.delivery import Delivery # noqa: PLC0415
        from ..models.identity import Identity # noqa: PLC0415
        from ..models.reaction import Reaction # noqa: PLC0415
        from ..models.relates_to import RelatesTo # noqa: PLC0415
        from ..models.security import Security # noqa: PLC0415
        from ..models.typing_content import TypingContent # noqa: PLC0415
        d = dict(src_dict)
        content = TypingContent.from_dict(d.pop("content"))




        def _parse_deleted_at(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                deleted_at_type_0 = datetime.datetime.fromisoformat(data)



                return deleted_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        deleted_at = _parse_deleted_at(d.pop("deleted_at"))


        delivery = Delivery.from_dict(d.pop("delivery"))




        def _parse_edited_at(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                edited_at_type_0 = datetime.datetime.fromisoformat(data)



                return edited_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        edited_at = _parse_edited_at(d.pop("edited_at"))


        epoch = d.pop("epoch")

        group_id = d.pop("group_id")

        message_id = d.pop("message_id")

        reactions = []
        _reactions = d.pop("reactions")
        for reactions_item_data in (_reactions):
            reactions_item = Reaction.from_dict(reactions_item_data)



            reactions.append(reactions_item)


        received_at = datetime.datetime.fromisoformat(d.pop("received_at"))




        def _parse_relates_to(data: object) -> None | RelatesTo:
            if data is None:
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                relates_to_type_0 = RelatesTo.from_dict(data)



                return relates_to_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | RelatesTo, data)

        relates_to = _parse_relates_to(d.pop("relates_to"))


        security = Security.from_dict(d.pop("security"))




        sender = Identity.from_dict(d.pop("sender"))




        sent_at = datetime.datetime.fromisoformat(d.pop("sent_at"))




        type_ = TypingMessageType(d.pop("type"))




        typing_message = cls(
            content=content,
            deleted_at=deleted_at,
            delivery=delivery,
            edited_at=edited_at,
            epoch=epoch,
            group_id=group_id,
            message_id=message_id,
            reactions=reactions,
            received_at=received_at,
            relates_to=relates_to,
            security=security,
            sender=sender,
            sent_at=sent_at,
            type_=type_,
        )


        typing_message.additional_properties = d
        return typing_message

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
