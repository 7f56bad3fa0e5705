from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, BinaryIO, TextIO, TYPE_CHECKING, Generator

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

from ..models.wanted_state import WantedState
from ..types import UNSET, Unset
from typing import cast

if TYPE_CHECKING:
  from ..models.invite_policy_all import InvitePolicyAll
  from ..models.invite_policy_allow import InvitePolicyAllow
  from ..models.invite_policy_ask import InvitePolicyAsk
  from ..models.invite_policy_none import InvitePolicyNone





T = TypeVar("T", bound="BotChange")



@_attrs_define
class BotChange:
    """ What to change about a bot; what is absent stays.

        Attributes:
            invite_policy (InvitePolicyAll | InvitePolicyAllow | InvitePolicyAsk | InvitePolicyNone | None | Unset): What
                happens to invitations from now on.
            name (None | str | Unset): Another name, also claimed at the node. The former one stays the bot's there: an
                identity
                has at most four, and whoever knows it by that name goes on to see it.
            state (None | Unset | WantedState): `running`: a bot that was displaced or exported goes on here. Say so only
                when it runs
                nowhere else.
     """

    invite_policy: InvitePolicyAll | InvitePolicyAllow | InvitePolicyAsk | InvitePolicyNone | None | Unset = UNSET
    name: None | str | Unset = UNSET
    state: None | Unset | WantedState = UNSET





    def to_dict(self) -> dict[str, Any]:
        from ..models.invite_policy_all import InvitePolicyAll # noqa: PLC0415
        from ..models.invite_policy_allow import InvitePolicyAllow # noqa: PLC0415
        from ..models.invite_policy_ask import InvitePolicyAsk # noqa: PLC0415
        from ..models.invite_policy_none import InvitePolicyNone # noqa: PLC0415
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

        name: None | str | Unset
        if isinstance(self.name, Unset):
            name = UNSET
        else:
            name = self.name

        state: None | str | Unset
        if isinstance(self.state, Unset):
            state = UNSET
        elif isinstance(self.state, WantedState):
            state = self.state.value
        else:
            state = self.state


        field_dict: dict[str, Any] = {}

        field_dict.update({
        })
        if invite_policy is not UNSET:
            field_dict["invite_policy"] = invite_policy
        if name is not UNSET:
            field_dict["name"] = name
        if state is not UNSET:
            field_dict["state"] = state

        return field_dict



    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.invite_policy_all import InvitePolicyAll # noqa: PLC0415
        from ..models.invite_policy_allow import InvitePolicyAllow # noqa: PLC0415
        from ..models.invite_policy_ask import InvitePolicyAsk # noqa: PLC0415
        from ..models.invite_policy_none import InvitePolicyNone # noqa: PLC0415
        d = dict(src_dict)
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


        def _parse_name(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        name = _parse_name(d.pop("name", UNSET))


        def _parse_state(data: object) -> None | Unset | WantedState:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                state_type_0 = WantedState(data)



                return state_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | Unset | WantedState, data)

        state = _parse_state(d.pop("state", UNSET))


        bot_change = cls(
            invite_policy=invite_policy,
            name=name,
            state=state,
        )

        return bot_change

