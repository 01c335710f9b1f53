"""Sessions of botocore by auth method: own keys, a role's, a user's short-lived ones, federated ones."""

from __future__ import annotations

import getpass
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from botocore.config import Config

from core.errors import ConfigurationError, NotFoundError
from core.mask import add_secret
from core.model.value import Value
from core_plugin_aws.policy import WHOLE
from core_plugin_aws.shared import session_of
from core_plugin_aws.trouble import asked

if TYPE_CHECKING:
    from collections.abc import Mapping

    from core_plugin_aws.policy import Scope

CONFIG = Config(
    connect_timeout=5, read_timeout=20, retries={"total_max_attempts": 4, "mode": "standard"}, user_agent_extra="core"
)
"""Short, because a person waits; botocore's standard mode tries again with jitter and heeds throttling."""
LONGEST = {"role": 43200, "session": 129600, "federation": 129600}


class Lent(Value):
    """A session and how long its keys live."""

    session: Any
    """Of botocore."""
    expires_at: float | None = None
    """Seconds since 1970; None: not known, or never."""
    as_they_are: bool = False
    """Whether the keys are those that somebody gave, and AWS has not seen them yet."""


def own(settings: Mapping[str, str]) -> Lent:
    """The keys in the settings, or what this machine has."""
    region, key = settings.get("region") or None, settings.get("aws_access_key_id")

    def make() -> Any:
        if key:
            keys = key, settings["aws_secret_access_key"], settings.get("aws_session_token") or None
            return session_of(*keys, region=region)
        session = session_of(profile=settings.get("profile_name") or None, region=region)
        if session.get_credentials() is None:
            message = "AWS: this machine has no credentials: no environment, no profile, no role"
            raise NotFoundError(message, "set AWS_PROFILE, or register the connector with another --auth-method")
        return session

    session = asked("find credentials", make)
    ends = None
    if not key:
        keys = session.get_credentials()
        asked("find credentials", keys.get_frozen_credentials)  # some are fetched now, and tell when they end no sooner
        ends = getattr(keys, "_expiry_time", None)
    return Lent(session, ends.timestamp() if ends else None, as_they_are=True)


def client(session: Any, service: str, settings: Mapping[str, str], region: str = "") -> Any:
    """A client of `service`."""
    where = region or region_of(session, settings, needed=service in {"eks", "ecr"})
    options = {"region_name": where or "us-east-1", "endpoint_url": settings.get("endpoint_url") or None}
    return asked(f"use {service}", lambda: session.create_client(service, config=CONFIG, **options))


def region_of(session: Any, settings: Mapping[str, str], *, needed: bool = True) -> str:
    """The connector's region, or else the session's; raises `NotFoundError` when it is needed and not known."""
    region = settings.get("region") or session.get_config_variable("region") or ""
    if needed and not region:
        hint = "give the connector one: `core service-connector update NAME --region=eu-west-1`"
        raise NotFoundError("AWS: no region is known", hint)
    return region


def role(base: Lent, settings: Mapping[str, str], scope: Scope) -> Lent:
    """Keys of the role, narrowed to `scope`."""
    arn, sts = settings["role_arn"], client(base.session, "sts", settings)
    policy, external = scope.policy(), settings.get("external_id", "")
    options = {"RoleArn": arn, "RoleSessionName": session_name(), "DurationSeconds": seconds(settings, "role")}
    options |= ({"Policy": policy} if policy else {}) | ({"ExternalId": external} if external else {})
    return _lent(asked(f"assume the role {arn!r}", lambda: sts.assume_role(**options), "sts"), base, settings)


def of_user(base: Lent, settings: Mapping[str, str]) -> Lent:
    """Short-lived keys of the user."""
    sts = client(base.session, "sts", settings)
    life = seconds(settings, "session")
    return _lent(
        asked("get a session token", lambda: sts.get_session_token(DurationSeconds=life), "sts"), base, settings
    )


def federated(base: Lent, settings: Mapping[str, str], scope: Scope) -> Lent:
    """Short-lived keys with the user's permissions, narrowed to `scope`; without a policy they would have none."""
    sts, life = client(base.session, "sts", settings), seconds(settings, "federation")
    policy = scope.policy() or _policy_of_everything()
    options = {"Name": session_name()[:32], "DurationSeconds": life, "Policy": policy}
    return _lent(asked("get a federation token", lambda: sts.get_federation_token(**options), "sts"), base, settings)


def _policy_of_everything() -> str:
    import json  # only the generic resource type comes here

    return json.dumps({"Version": "2012-10-17", "Statement": WHOLE})


def _lent(answer: Mapping[str, Any], base: Lent, settings: Mapping[str, str]) -> Lent:
    given = answer["Credentials"]
    add_secret(given["SecretAccessKey"])
    add_secret(given["SessionToken"])
    region = settings.get("region") or base.session.get_config_variable("region")
    keys = given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"]
    return Lent(session_of(*keys, region=region), given["Expiration"].timestamp())


def seconds(settings: Mapping[str, str], what: str) -> int:
    """How long credentials shall live."""
    text = settings.get("expiration_seconds") or "3600"
    if not text.isascii() or not text.isdecimal() or not 900 <= int(text) <= LONGEST[what]:
        raise ConfigurationError(
            f"expiration_seconds is {text!r}; expected a whole number from 900 to {LONGEST[what]}",
            "`core service-connector update NAME --expiration_seconds=3600`",
        )
    return int(text)


def session_name() -> str:
    """Who acts, as CloudTrail shows it."""
    user = ""
    with suppress(OSError, KeyError, ImportError):
        user = getpass.getuser()
    return re.sub(r"[^\w+=,.@-]", "-", f"core-{user}".rstrip("-"), flags=re.ASCII)[:64]
