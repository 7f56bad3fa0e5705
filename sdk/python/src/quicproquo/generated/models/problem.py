from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, BinaryIO, TextIO, TYPE_CHECKING, Generator

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

from ..types import UNSET, Unset
from typing import cast

if TYPE_CHECKING:
  from ..models.field_error import FieldError





T = TypeVar("T", bound="Problem")



@_attrs_define
class Problem:
    """ A problem (RFC 9457). `type` is stable; its last part names the page that describes it,
    `GET /problems/{type}`, to which the header `Link` with `rel="help"` leads as well.

        Attributes:
            instance (str): The request's id, also in `X-Request-Id`.
            retryable (bool): Whether the same request can succeed later without a change.
            status (int): The HTTP status.
            title (str): The kind in words.
            type_ (str): A stable URN that names the kind of problem.
            current_epoch (int | None | Unset): The group's epoch, with `epoch-mismatch`.
            detail (None | str | Unset): What is special about this occurrence.
            errors (list[FieldError] | Unset): Which fields are wrong.
            newest (None | str | Unset): The newest cursor, with `cursor-expired`.
            oldest (None | str | Unset): The cursor before the oldest event that is kept, with `cursor-expired`.
     """

    instance: str
    retryable: bool
    status: int
    title: str
    type_: str
    current_epoch: int | None | Unset = UNSET
    detail: None | str | Unset = UNSET
    errors: list[FieldError] | Unset = UNSET
    newest: None | str | Unset = UNSET
    oldest: None | str | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)





    def to_dict(self) -> dict[str, Any]:
        from ..models.field_error import FieldError # noqa: PLC0415
        instance = self.instance

        retryable = self.retryable

        status = self.status

        title = self.title

        type_ = self.type_

        current_epoch: int | None | Unset
        if isinstance(self.current_epoch, Unset):
            current_epoch = UNSET
        else:
            current_epoch = self.current_epoch

        detail: None | str | Unset
        if isinstance(self.detail, Unset):
            detail = UNSET
        else:
            detail = self.detail

        errors: list[dict[str, Any]] | Unset = UNSET
        if not isinstance(self.errors, Unset):
            errors = []
            for errors_item_data in self.errors:
                errors_item = errors_item_data.to_dict()
                errors.append(errors_item)



        newest: None | str | Unset
        if isinstance(self.newest, Unset):
            newest = UNSET
        else:
            newest = self.newest

        oldest: None | str | Unset
        if isinstance(self.oldest, Unset):
            oldest = UNSET
        else:
            oldest = self.oldest


        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update({
            "instance": instance,
            "retryable": retryable,
            "status": status,
            "title": title,
            "type": type_,
        })
        if current_epoch is not UNSET:
            field_dict["current_epoch"] = current_epoch
        if detail is not UNSET:
            field_dict["detail"] = detail
        if errors is not UNSET:
            field_dict["errors"] = errors
        if newest is not UNSET:
            field_dict["newest"] = newest
        if oldest is not UNSET:
            field_dict["oldest"] = oldest

        return field_dict



    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.field_error import FieldError # noqa: PLC0415
        d = dict(src_dict)
        instance = d.pop("instance")

        retryable = d.pop("retryable")

        status = d.pop("status")

        title = d.pop("title")

        type_ = d.pop("type")

        def _parse_current_epoch(data: object) -> int | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(int | None | Unset, data)

        current_epoch = _parse_current_epoch(d.pop("current_epoch", UNSET))


        def _parse_detail(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        detail = _parse_detail(d.pop("detail", UNSET))


        _errors = d.pop("errors", UNSET)
        errors: list[FieldError] | Unset = UNSET
        if _errors is not UNSET:
            errors = []
            for errors_item_data in _errors:
                errors_item = FieldError.from_dict(errors_item_data)



                errors.append(errors_item)


        def _parse_newest(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        newest = _parse_newest(d.pop("newest", UNSET))


        def _parse_oldest(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        oldest = _parse_oldest(d.pop("oldest", UNSET))


        problem = cls(
            instance=instance,
            retryable=retryable,
            status=status,
            title=title,
            type_=type_,
            current_epoch=current_epoch,
            detail=detail,
            errors=errors,
            newest=newest,
            oldest=oldest,
        )


        problem.additional_properties = d
        return problem

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
