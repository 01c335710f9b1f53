"""`--auto-configure`: which method and settings this machine's own AWS configuration comes to."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import botocore.session

from core.errors import NotFoundError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

LOOKED = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, the profile {profile!r}, and the role of this machine"
MEND = "set AWS_PROFILE to one of `aws configure list-profiles`, or name an --auth-method and its settings"


def configured(environment: Mapping[str, str], method: str = "") -> tuple[str, dict[str, str]]:
    """Method and settings. Keys of the environment are kept, encrypted: it is gone with the shell.

    A profile is kept by its name (`implicit`): what stands in it is renewed there, and no secret is copied; with a
    `method` that wants keys they are copied. Raises `NotFoundError` that tells where it looked.
    """
    with _as(environment):
        session = botocore.session.Session()
        profile = environment.get("AWS_PROFILE") or environment.get("AWS_DEFAULT_PROFILE") or "default"
        if profile not in session.available_profiles and profile != "default":
            raise NotFoundError(f"AWS: there is no profile {profile!r}", MEND)
        settings = _places(session, environment)
        keys = session.get_credentials()
        if keys is None:
            raise NotFoundError(f"AWS: no credentials are found in {LOOKED.format(profile=profile)}", MEND)
        scoped = session.get_scoped_config()
        told = {"role_arn": scoped.get("role_arn", ""), "external_id": scoped.get("external_id", "")}
        chosen = method or _natural(keys.method, bool(environment.get("AWS_SESSION_TOKEN")))
        if chosen == "implicit":
            return chosen, settings | ({"profile_name": profile} if profile in session.available_profiles else {})
        return chosen, settings | _copied(chosen, keys, told)


def _places(session: Any, environment: Mapping[str, str]) -> dict[str, str]:
    """Region and endpoint, where they are known."""
    region = session.get_config_variable("region") or environment.get("AWS_REGION") or ""
    endpoint = environment.get("AWS_ENDPOINT_URL") or session.get_scoped_config().get("endpoint_url") or ""
    return {key: value for key, value in (("region", region), ("endpoint_url", endpoint)) if value}


def _natural(found_by: str, temporary: bool) -> str:  # noqa: FBT001 - what the environment has
    if found_by == "env":
        return "sts-token" if temporary else "secret-key"
    return "implicit"


def _copied(method: str, keys: Any, told: dict[str, str]) -> dict[str, str]:
    """The keys themselves, for methods that are made of them."""
    frozen = keys.get_frozen_credentials()
    settings = {"aws_access_key_id": frozen.access_key, "aws_secret_access_key": frozen.secret_key}
    if method in {"sts-token", "iam-role"} and frozen.token:
        settings["aws_session_token"] = frozen.token
    elif frozen.token:
        raise UsageError(f"AWS: this machine's keys are temporary; {method} wants those of a user", "use sts-token")
    if method == "iam-role":
        settings |= {key: value for key, value in told.items() if value}
    return settings


@contextmanager
def _as(environment: Mapping[str, str]) -> Iterator[None]:
    """With this environment in the place of the process's own; botocore reads it nowhere else."""
    if environment is os.environ or dict(environment) == dict(os.environ):
        yield
        return
    kept = dict(os.environ)
    os.environ.clear()
    os.environ.update({"AWS_EC2_METADATA_DISABLED": "true", **environment})
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(kept)
