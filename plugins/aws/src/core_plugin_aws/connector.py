"""The service connector `aws`: signs in by one of six methods, lists what is in reach, gives keys for one resource."""

from __future__ import annotations

import time
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar

from core.errors import AuthenticationError, ConfigurationError
from core.ports.service_connector import Credentials, ServiceConnector
from core_plugin_aws import clusters, registries
from core_plugin_aws.policy import Scope, scope_of
from core_plugin_aws.sessions import Lent, client, federated, of_user, own, region_of, role
from core_plugin_aws.trouble import RENEW, asked
from core_plugin_aws.uri import registry_host

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from botocore.session import Session


PAGE = 1000
"""Buckets that are asked for at a time."""


class AwsConnector(ServiceConnector):
    """Credentials are narrowed to one resource by `iam-role` and `federation-token`, and by `implicit` with a role."""

    name: ClassVar[str] = "aws"

    @classmethod
    def configured(cls, environment: Mapping[str, str], method: str = "") -> tuple[str, dict[str, str]]:
        """From the environment's keys, or else a profile: which one is kept, not what stands in it."""
        from core_plugin_aws.configure import configured  # needs the configuration files of this machine

        return configured(environment, method)

    @classmethod
    def machine_identity(cls, settings: Mapping[str, str]) -> Sequence[tuple[str, Mapping[str, str]]]:
        """The connector's role, narrowed to the resource, if the machine's own may assume it; else that, as it is."""
        own = {key: settings[key] for key in ("region", "endpoint_url") if key in settings}
        role = {key: settings[key] for key in ("role_arn", "external_id", "expiration_seconds") if key in settings}
        return [*([("implicit", own | role)] if "role_arn" in role else []), ("implicit", own)]

    def identity(self) -> str:
        """ARN of the user or role."""
        lent = self._session(Scope("aws-generic"))
        sts = client(lent.session, "sts", self.settings)
        return str(asked("tell who this is", sts.get_caller_identity, "sts")["Arn"])

    def resources(self, resource_type: str) -> Iterator[str]:
        """Ids of what is in reach, page by page."""
        session = self._session(Scope("aws-generic")).session
        if resource_type == "s3-bucket":
            yield from self._buckets(session)
        elif resource_type == "kubernetes-cluster":
            yield from clusters.names(client(session, "eks", self.settings))
        elif resource_type == "docker-registry":
            account = asked(
                "tell which account this is", client(session, "sts", self.settings).get_caller_identity, "sts"
            )["Account"]
            yield registry_host(account, region_of(session, self.settings))
        else:
            yield ""

    def _buckets(self, session: Session) -> Iterator[str]:
        s3 = client(session, "s3", self.settings)
        marker: dict[str, str] = {}
        while True:
            page = asked("list the buckets", lambda marker=marker: s3.list_buckets(MaxBuckets=PAGE, **marker))  # type: ignore[misc]
            yield from (f"s3://{bucket['Name']}" for bucket in page["Buckets"])
            if not page.get("ContinuationToken"):
                return
            marker = {"ContinuationToken": page["ContinuationToken"]}

    def credentials(self, resource_type: str, resource_id: str = "") -> Credentials:
        """Keys, a cluster's token, or a registry's login."""
        scope = scope_of(resource_type, resource_id, self.settings)
        lent = self._session(scope)
        if resource_type == "kubernetes-cluster":
            values, ends = clusters.opened(lent.session, self.settings, scope.name)
        elif resource_type == "docker-registry":
            values, ends = registries.opened(lent.session, self.settings, resource_id)
        else:
            self._look(lent, scope)
            values, ends = {}, None
        keys = self._keys(lent, scope)
        ends = min((end for end in (lent.expires_at, ends) if end is not None), default=None)
        return Credentials(resource_type, resource_id, {**keys, **values}, ends)

    def _look(self, lent: Lent, scope: Scope) -> None:
        """Whether the keys are right: nobody looked where they are handed out as they are; and the bucket is there."""
        if scope.resource_type == "s3-bucket":
            s3 = client(lent.session, "s3", self.settings)
            # not HeadBucket: its answers have no body, and 403 alone does not tell wrong keys from a missing permission
            asked(f"use the bucket {scope.name!r}", lambda: s3.list_objects_v2(Bucket=scope.name, MaxKeys=1))
        elif lent.as_they_are:
            asked("use the keys", client(lent.session, "sts", self.settings).get_caller_identity, "sts")

    def _keys(self, lent: Lent, scope: Scope) -> dict[str, str]:
        frozen = asked("find credentials", lent.session.get_credentials).get_frozen_credentials()
        values = {
            "access_key_id": frozen.access_key,
            "secret_access_key": frozen.secret_key,
            "session_token": frozen.token or "",
            "region": scope.region or region_of(lent.session, self.settings, needed=False),
            "endpoint_url": self.settings.get("endpoint_url", ""),
        }
        return {key: value for key, value in values.items() if value}

    def _session(self, scope: Scope) -> Lent:
        """A session whose keys are right for `scope`."""
        base = own(self.settings)  # a new one: sessions are for one thread, and this connector is for all
        if self.method == "session-token":
            return of_user(base, self.settings)
        if self.method == "federation-token":
            return federated(base, self.settings, scope)
        if self.settings.get("role_arn"):
            return role(base, self.settings, scope)
        if self.method == "sts-token":
            return base._replace(expires_at=_end(self.settings.get("expires_at", "")))
        return base


def _end(text: str) -> float | None:
    """Seconds since 1970 of a date that somebody typed; raises `AuthenticationError` when it is over."""
    if not text:
        return None
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        message = f"expires_at is {text!r}; expected a date such as 2026-11-25T08:00:00Z"
        raise ConfigurationError(message, "`core service-connector update NAME --expires_at=...`") from None
    ends = (when if when.tzinfo else when.astimezone()).timestamp()
    if ends <= time.time():
        raise AuthenticationError(f"AWS: the credentials have expired at {text}", RENEW)
    return ends
