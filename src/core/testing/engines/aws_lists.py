"""Listings of buckets in pages, as S3 gives them and moto does not."""

from __future__ import annotations

from typing import Any

from moto.core.responses import ActionResult
from moto.s3.responses import S3Response

MOST = 10_000
"""Buckets on a page when nobody says how many."""


def install() -> None:
    """Put it into moto."""
    setattr(S3Response, "all_buckets", _list)  # noqa: B010 - a method of moto's


def _list(self: Any) -> Any:
    """`ListBuckets`, in the order of names; its token is the name after which the next page begins."""
    self.data["Action"] = "ListAllMyBuckets"
    self._authenticate_and_authorize_s3_action()
    wanted = {name: self._get_param(name) or "" for name in ("prefix", "bucket-region", "continuation-token")}
    found = self.backend.list_buckets(wanted["prefix"], wanted["bucket-region"], None)
    later = sorted((one for one in found if one.name > wanted["continuation-token"]), key=lambda one: str(one.name))
    page = later[: int(self._get_param("max-buckets") or MOST)]
    answer: dict[str, Any] = {
        "Buckets": [{"Name": one.name, "CreationDate": one.creation_date_ISO8601} for one in page]
    }
    if len(page) < len(later):
        answer["ContinuationToken"] = page[-1].name
    self.data["Action"] = "ListBuckets"
    return self.serialized(ActionResult(answer))
