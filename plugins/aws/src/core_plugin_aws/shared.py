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


def session_of(*keys: str | None, profile: str | None = None, region: str | None = None) -> Any:
    """A session of botocore with these keys (access key, secret, token), or with a profile's or this machine's."""
    session = sharing(botocore.session.Session(profile=profile))
    if keys:
        session.set_credentials(*keys)
    if region:
        session.set_config_variable("region", region)
    return session
