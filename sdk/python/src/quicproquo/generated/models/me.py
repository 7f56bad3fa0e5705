from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, BinaryIO, TextIO, TYPE_CHECKING, Generator

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

from ..models.bot_state import BotState
from typing import cast

if TYPE_CHECKING:
  from ..models.token import Token





T = TypeVar("T", bound="Me")



@_attrs_define
class Me:
    """ The bot that asks, and what its token permits.

        Attributes:
            bot_id (str): Its id.
            identity (str): Its identity: an Ed25519 key, 64 hexadecimal digits.
            name (str): Its name, claimed at the node.
            state (BotState): How a bot does.
            token (Token): A token, without its secret.
     """

    bot_id: str
    identity: str
    name: str
    state: BotState
    token: Token
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)





    def to_dict(self) -> dict[str, Any]:
        from ..models.token import Token # noqa: PLC0415
        bot_id = self.bot_id

        identity = self.identity

        name = self.name

        state = self.state.value

        token = self.token.to_dict()


        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update({
            "bot_id": bot_id,
            "identity": identity,
            "name": name,
            "state": state,
            "token": token,
        })

        return field_dict



    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.token import Token # noqa: PLC0415
        d = dict(src_dict)
        bot_id = d.pop("bot_id")

        identity = d.pop("identity")

        name = d.pop("name")

        state = BotState(d.pop("state"))




        token = Token.from_dict(d.pop("token"))




        me = cls(
            bot_id=bot_id,
            identity=identity,
            name=name,
            state=state,
            token=token,
        )


        me.additional_properties = d
        return me

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
