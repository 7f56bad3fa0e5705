from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, BinaryIO, TextIO, TYPE_CHECKING, Generator

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

from ..models.bot_state import BotState
from ..types import UNSET, Unset
from typing import cast
import datetime

if TYPE_CHECKING:
  from ..models.bot_health import BotHealth
  from ..models.invite_policy_all import InvitePolicyAll
  from ..models.invite_policy_allow import InvitePolicyAllow
  from ..models.invite_policy_ask import InvitePolicyAsk
  from ..models.invite_policy_none import InvitePolicyNone





T = TypeVar("T", bound="BotCreated")



@_attrs_define
class BotCreated:
    """ A bot that was just created, with its first token.

        Attributes:
            bot_id (str): Its id.
            created_at (datetime.datetime): When it was created.
            health (BotHealth): How a bot does, in detail.
            identity (str): Its identity: an Ed25519 key, 64 hexadecimal digits.
            name (str): Its name, claimed at the node.
            state (BotState): How a bot does.
            token (None | str): The first token. Shown once: an answer given again has `null`.
            token_id (str): The first token's id; the token has every scope.
            invite_policy (InvitePolicyAll | InvitePolicyAllow | InvitePolicyAsk | InvitePolicyNone | None | Unset): What
                happens to invitations; only when one bot is asked for.
            token_note (None | str | Unset): Why `token` is `null`.
     """

    bot_id: str
    created_at: datetime.datetime
    health: BotHealth
    identity: str
    name: str
    state: BotState
    token: None | str
    token_id: str
    invite_policy: InvitePolicyAll | InvitePolicyAllow | InvitePolicyAsk | InvitePolicyNone | None | Unset = UNSET
    token_note: None | str | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)





    def to_dict(self) -> dict[str, Any]:
        from ..models.bot_health import BotHealth # noqa: PLC0415
        from ..models.invite_policy_all import InvitePolicyAll # noqa: PLC0415
        from ..models.invite_policy_allow import InvitePolicyAllow # noqa: PLC0415
        from ..models.invite_policy_ask import InvitePolicyAsk # noqa: PLC0415
        from ..models.invite_policy_none import InvitePolicyNone # noqa: PLC0415
        bot_id = self.bot_id

        created_at = self.created_at.isoformat()

        health = self.health.to_dict()

        identity = self.identity

        name = self.name

        state = self.state.value

        token: None | str
        token = self.token

        token_id = self.token_id

        invite_policy: dict[str, Any] | None | Unset
        if isinstance(self.invite_policy, Unset):
            invite_policy = UNSET
        elif isinstance(self.invite_policy, InvitePolicyAsk):
            invite_policy = self.invite_policy.to_dict()
        elif isinstance(self.invite_policy, InvitePolicyAll):
            invite_policy = self.invite_policy.to_dict()
        elif isinstance(self.invite_policy, InvitePolicyNone):
            invite_policy = self.invite_policy.to_dict()
        elif isinstance(self.invite_policy, InvitePolicyAllow):
            invite_policy = self.invite_policy.to_dict()
        else:
            invite_policy = self.invite_policy

        token_note: None | str | Unset
        if isinstance(self.token_note, Unset):
            token_note = UNSET
        else:
            token_note = self.token_note


        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update({
            "bot_id": bot_id,
            "created_at": created_at,
            "health": health,
            "identity": identity,
            "name": name,
            "state": state,
            "token": token,
            "token_id": token_id,
        })
        if invite_policy is not UNSET:
            field_dict["invite_policy"] = invite_policy
        if token_note is not UNSET:
            field_dict["token_note"] = token_note

        return field_dict



    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.bot_health import BotHealth # noqa: PLC0415
        from ..models.invite_policy_all import InvitePolicyAll # noqa: PLC0415
        from ..models.invite_policy_allow import InvitePolicyAllow # noqa: PLC0415
        from ..models.invite_policy_ask import InvitePolicyAsk # noqa: PLC0415
        from ..models.invite_policy_none import InvitePolicyNone # noqa: PLC0415
        d = dict(src_dict)
        bot_id = d.pop("bot_id")

        created_at = datetime.datetime.fromisoformat(d.pop("created_at"))




        health = BotHealth.from_dict(d.pop("health"))




        identity = d.pop("identity")

        name = d.pop("name")

        state = BotState(d.pop("state"))




        def _parse_token(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        token = _parse_token(d.pop("token"))


        token_id = d.pop("token_id")

        def _parse_invite_policy(data: object) -> InvitePolicyAll | InvitePolicyAllow | InvitePolicyAsk | InvitePolicyNone | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                componentsschemas_invite_policy_type_0 = InvitePolicyAsk.from_dict(data)



                return componentsschemas_invite_policy_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                componentsschemas_invite_policy_type_1 = InvitePolicyAll.from_dict(data)



                return componentsschemas_invite_policy_type_1
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                componentsschemas_invite_policy_type_2 = InvitePolicyNone.from_dict(data)



                return componentsschemas_invite_policy_type_2
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                componentsschemas_invite_policy_type_3 = InvitePolicyAllow.from_dict(data)



                return componentsschemas_invite_policy_type_3
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(InvitePolicyAll | InvitePolicyAllow | InvitePolicyAsk | InvitePolicyNone | None | Unset, data)

        invite_policy = _parse_invite_policy(d.pop("invite_policy", UNSET))


        def _parse_token_note(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        token_note = _parse_token_note(d.pop("token_note", UNSET))


        bot_created = cls(
            bot_id=bot_id,
            created_at=created_at,
            health=health,
            identity=identity,
            name=name,
            state=state,
            token=token,
            token_id=token_id,
            invite_policy=invite_policy,
            token_note=token_note,
        )


        bot_created.additional_properties = d
        return bot_created

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
