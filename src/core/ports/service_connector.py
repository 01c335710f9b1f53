"""Service connector: one way to authenticate to a cloud; hands out short-lived credentials for one resource.

What a connector type is made of (`ConnectorType`) is plain data, so that the command line shows and checks it without
importing an SDK. Its class is imported when somebody wants credentials.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from core.model.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any


class ResourceType(Value):
    """A kind of thing that a connector gives access to."""

    name: str
    """Such as `s3-bucket`, `kubernetes-cluster`, `docker-registry`."""
    doc: str
    """One line for listings, with a full stop."""
    form: str = ""
    """How its ids are written, such as `s3://BUCKET`; empty: there is only one, and it needs no id."""


class AuthField(Value):
    """One setting of an auth method."""

    name: str
    """As typed: `--name=value`, with `_` or `-`."""
    doc: str
    """One line: what it is, in which unit, where it comes from."""
    secret: bool = False
    """Kept encrypted, never shown."""
    required: bool = False
    default: str = ""
    """What holds when it is not given; empty for nothing."""
    choices: tuple[str, ...] = ()
    """The values that are allowed; empty for any."""


class AuthMethod(Value):
    """A way to prove who one is."""

    name: str
    """Such as `secret-key`."""
    doc: str
    """One line: for whom it is, and what it gives."""
    fields: tuple[AuthField, ...] = ()


class ConnectorType(Value):
    """One kind of connector, offered by the hook `core_connectors`."""

    name: str
    """What people type after `--type`, such as `aws`."""
    doc: str
    """One line for listings, with a full stop."""
    target: str
    """`"module:Class"` of the `ServiceConnector`; imported when it is first used."""
    resource_types: tuple[ResourceType, ...]
    methods: tuple[AuthMethod, ...]
    """The first is what `--auto-configure` and people without a wish get."""
    auto: bool = False
    """Whether it can configure itself from what this machine knows (`ServiceConnector.configured`)."""


_OPEN = frozenset({"access_key_id", "certificate_authority", "client_certificate", "endpoint_url", "insecure",
    "namespace", "region", "server", "username"})  # fmt: skip
"""Values of credentials that are no secrets."""


class Credentials(Value):
    """What opens one resource for a while. Never recorded, printed or logged; every secret in it is masked."""

    resource_type: str
    resource_id: str
    """Empty where there is only one resource of the type."""
    values: Mapping[str, Any]
    """By resource type, each key a text and absent when it does not apply:

    - AWS (`aws-generic`, `s3-bucket`): `access_key_id`, `secret_access_key`, `session_token`, `region`, `endpoint_url`
    - `docker-registry`: `server` (host and port), `username`, `password`
    - `kubernetes-cluster`: `server` (URL), `certificate_authority` (PEM), `token`, or `client_certificate` and
      `client_key` (PEM), `insecure` ("true"), `namespace`
    """
    expires_at: float | None = None
    """Seconds since 1970; None: they do not expire."""

    def secrets(self) -> list[str]:
        """The values that must be masked."""
        return [str(value) for name, value in self.values.items() if name not in _OPEN]

    def to_data(self) -> dict[str, Any]:
        """Plain data, with the values: only for who may open the resource."""
        return {**self._asdict(), "values": dict(self.values)}

    def __repr__(self) -> str:
        """Without the values."""
        return f"Credentials({self.resource_type!r}, {self.resource_id!r}, expires_at={self.expires_at!r})"


class ServiceConnector(ABC):
    """Authenticates by one method with its settings. Building one asks nobody; using it does.

    Every method raises `AuthenticationError` when the credentials are wrong or expired, `NotAllowedError` when they are
    right and lack the permission (the message names it), `NotFoundError` for a resource that does not exist, and
    `InfrastructureError` when the cloud can't be reached.
    """

    name: ClassVar[str]
    """Of its `ConnectorType`."""

    def __init__(self, method: str, settings: Mapping[str, str]) -> None:
        """`settings` were checked against the fields of `method` and hold secrets in the clear."""
        self.method = method
        self.settings = settings

    @classmethod
    def configured(cls, environment: Mapping[str, str], method: str = "") -> tuple[str, dict[str, str]]:
        """Method and settings from what this machine knows, of `method` if one is wanted: for `--auto-configure`.

        Raises `NotFoundError` that tells where it looked.
        """
        raise NotImplementedError

    @classmethod
    def machine_identity(cls, settings: Mapping[str, str]) -> Sequence[tuple[str, Mapping[str, str]]]:  # noqa: ARG003 - types that know one override
        """Methods and settings by which the machine that this runs on, such as a VM with a role, says who it is.

        A driver without its client goes on by the first that opens what it was lent: the narrowest stands first.
        `settings` are those of the connector that lent it, without secrets. Asks nobody; empty where the type knows no
        such identity.
        """
        return ()

    @abstractmethod
    def identity(self) -> str:
        """Who this is, as the cloud says (such as an ARN): the cheapest proof that the credentials are right."""

    @abstractmethod
    def resources(self, resource_type: str) -> Iterator[str]:
        """Ids of every resource of the type in reach, through all pages; one empty id for a type with only one."""

    @abstractmethod
    def credentials(self, resource_type: str, resource_id: str = "") -> Credentials:
        """New credentials for one resource, scoped down to it and short-lived where the method allows."""
