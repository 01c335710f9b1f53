"""The container registry `aws`: Amazon ECR, whose logins end after hours and whose repositories must exist."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, ClassVar

from core.errors import NotAllowedError, NotFoundError
from core.oci.login import try_login
from core.ports.container_registry import ContainerRegistry, RegistryLogin
from core_plugin_aws.uri import parse_registry

if TYPE_CHECKING:
    from collections.abc import Mapping

STAND_IN = "AWS_ENDPOINT_URL_ECR_REGISTRY"
"""Environment variable: URL of a registry that stands in for ECR's, as other `AWS_ENDPOINT_URL_...` do."""
FRESH = 300.0
"""Seconds that a login must still live to be given again."""
LENT = {
    "aws_access_key_id": "access_key_id",
    "aws_secret_access_key": "secret_access_key",
    "aws_session_token": "session_token",
    "endpoint_url": "endpoint_url",
}
"""Settings of a session, and what a connector's credentials call them."""


class EcrContainerRegistry(ContainerRegistry):
    """Logs in with keys of its connector, or with this machine's where none is linked."""

    flavor: ClassVar[str] = "aws"
    Settings: ClassVar[Any] = "core_plugin_aws.settings:EcrSettings"
    resource_type: ClassVar[str] = "docker-registry"
    remote: ClassVar[bool] = True

    def __init__(self, settings: Any = None) -> None:
        import os  # start-up time: beside the settings, which import more

        super().__init__(settings)
        self.registry = parse_registry(settings.uri)
        told = os.environ.get(STAND_IN, "")
        stand_in = settings.endpoint or told.partition("://")[2].rstrip("/")
        self.insecure = settings.insecure or (not settings.endpoint and told.startswith("http://"))
        host = stand_in or self.registry.host
        self.uri = f"{host}/{self.registry.prefix}" if self.registry.prefix else host
        self._login: RegistryLogin | None = None
        self._known: set[str] = set()

    def resource_id(self) -> str:
        """The registry, as the connector calls it."""
        return self.registry.host

    def login(self) -> RegistryLogin:
        """Renewed when it has less than five minutes left."""
        lent = self.credentials
        if lent is not None:
            given = lent()
            return RegistryLogin(given.values["username"], given.values["password"], given.expires_at)
        if self._login is None or (self._login.expires_at or 0) - time.time() < FRESH:
            from core_plugin_aws import registries, sessions  # the SDK: only who logs in needs it

            values, ends = registries.opened(sessions.own({}).session, {}, self.registry.host)
            self._login = RegistryLogin(values["username"], values["password"], ends)
        return self._login

    def ensure(self, name: str) -> None:
        """Make the repository if it is missing and the setting `create_repositories` allows it."""
        if name in self._known:
            return
        repository = f"{self.registry.prefix}/{name}" if self.registry.prefix else name
        ecr = self._client("ecr")
        try:
            self._ensure(ecr, repository)
        except (NotAllowedError, NotFoundError) as error:
            raise self._of_another_account() or error from error
        self._known.add(name)

    def _ensure(self, ecr: Any, repository: str) -> None:
        from core_plugin_aws import registries  # the SDK: as above

        if registries.exists(ecr, self.registry.account, repository):
            return
        if self.settings.create_repositories:
            registries.create(ecr, self.registry.account, repository)
            return
        command = f"aws ecr create-repository --region {self.registry.region} --repository-name {repository}"
        message = f"the repository {repository!r} does not exist in {self.registry.host}"
        raise NotFoundError(message, f"make it (`{command}`), or set create_repositories=true")

    def _of_another_account(self) -> NotAllowedError | None:
        """The error to raise where it is the account that is wrong, which AWS does not say."""
        try:
            account = self._client("sts").get_caller_identity()["Account"]
        except Exception:  # noqa: BLE001 - border of a library; what went wrong first is told
            return None
        if account == self.registry.account:
            return None
        message = (
            f"the registry {self.registry.host!r} is of account {self.registry.account}, the keys are of {account}"
        )
        return NotAllowedError(message, f"is its URI right? Else link a connector of account {self.registry.account}")

    def _client(self, service: str) -> Any:
        from core_plugin_aws import sessions  # the SDK: as above

        values: Mapping[str, Any] = self.credentials().values if self.credentials is not None else {}
        settings = {ours: values[theirs] for ours, theirs in LENT.items() if values.get(theirs)}
        if self.credentials is not None and "aws_access_key_id" not in settings:
            message = f"the connector of {self.uri!r} gives a login, but no keys with which to make a repository"
            raise NotAllowedError(message, "link one of type aws")
        return sessions.client(sessions.own(settings).session, service, settings, self.registry.region)

    def verify(self) -> None:
        """Ask the registry whether the login is right."""
        try_login(self.uri.partition("/")[0], self.login, insecure=self.insecure)
