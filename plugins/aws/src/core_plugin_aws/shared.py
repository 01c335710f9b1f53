"""What AWS's SDKs read from their files, once a process: a session of its own would parse megabytes of JSON again."""

from __future__ import annotations

from functools import cache
from typing import Any

import botocore.session
from botocore.loaders import create_loader


@cache
def _loader(search_path: str) -> Any:
    return create_loader(search_path or None)


def sharing(session: Any) -> Any:
    """The same session of botocore or aiobotocore, before its first use: takes descriptions of services from all."""
    session.register_component("data_loader", _loader(session.get_config_variable("data_path") or ""))
    return session


def boto3_session(*keys: str | None, profile: str | None = None, region: str | None = None) -> Any:
    """A session of boto3 with these keys (access key, secret, token), or with those of a profile or of this machine."""
    import boto3  # the S3 store does without

    inner = sharing(botocore.session.Session())
    session = boto3.Session(*keys, botocore_session=inner, profile_name=profile, region_name=region)
    paths = inner.get_component("data_loader").search_paths
    paths[:] = dict.fromkeys(paths)  # each session adds boto3's own
    return session
