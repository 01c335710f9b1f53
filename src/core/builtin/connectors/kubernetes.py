"""Service connector of a Kubernetes cluster: a token, or one context of a kubeconfig, tried over https."""

from __future__ import annotations

import json
import os
import ssl
import warnings
from functools import cached_property

import urllib3

from core.builtin.connectors.kubeconfig import find_file, read_context, written
from core.errors import AuthenticationError, ConfigurationError, InfrastructureError, NotAllowedError, NotFoundError
from core.ports.service_connector import Credentials, ServiceConnector

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from core.errors import CoreError

_REVIEWS = ("v1", "v1beta1", "v1alpha1")
"""Versions of `SelfSubjectReview`: Kubernetes 1.28, 1.27, 1.26."""
_RETRY = urllib3.Retry(
    3, redirect=0, other=0, backoff_factor=0.2, backoff_jitter=0.2,
    status_forcelist=[429, 500, 502, 503, 504], allowed_methods=None, raise_on_status=False,
)  # fmt: skip
_TIMEOUT = urllib3.Timeout(5, 20)
"""Seconds to connect, and to read."""
_RIGHT = "give the right credentials; a service account's token ends, `kubectl create token` makes another"


class KubernetesConnector(ServiceConnector):
    """Gives the credentials that it was registered with: how long they last, the cluster decides."""

    name = "kubernetes"

    @classmethod
    def configured(cls, environment: Mapping[str, str], method: str = "") -> tuple[str, dict[str, str]]:
        if method not in {"", "kubeconfig"}:
            raise NotFoundError(f"auth method {method!r} finds nothing on this machine", "only `kubeconfig` does")
        text, folder = find_file(environment)
        return "kubeconfig", {"kubeconfig": written(read_context(text, folder=folder))}

    @cached_property
    def values(self) -> dict[str, str]:
        """What a client needs, and `cluster`, the name."""
        settings = self.settings
        if self.method == "kubeconfig":
            found = read_context(settings["kubeconfig"], settings.get("context", ""))
        else:
            kept = ("server", "token", "certificate_authority", "insecure")
            found = {key: settings[key] for key in kept if settings.get(key) not in {None, "", "false"}}
            host = found["server"].partition("://")[2].partition("/")[0]
            if not host:
                raise ConfigurationError(f"server {found['server']!r} is no URL", "give --server=https://HOST:PORT")
            found["cluster"] = settings.get("cluster_name") or host
        return found | ({"namespace": settings["namespace"]} if settings.get("namespace") else {})

    def identity(self) -> str:
        """The name that the cluster has for it, and the cluster's version."""
        version = self._ask("GET", "/version").get("gitVersion", "")
        return f"{self._name()} at {self.values['cluster']} ({version})"

    def resources(self, resource_type: str) -> Iterator[str]:  # noqa: ARG002 - there is one type
        self._name()
        yield self.values["cluster"]

    def credentials(self, resource_type: str, resource_id: str = "") -> Credentials:
        cluster = self.values["cluster"]
        if resource_id not in {"", cluster}:
            raise NotFoundError(
                f"this connector is for cluster {cluster!r}, not for {resource_id!r}", "register one for that cluster"
            )
        self._name()
        given = {key: value for key, value in self.values.items() if key != "cluster"}
        return Credentials(resource_type, cluster, given)

    def _name(self) -> str:
        """Who this is; old clusters only tell that they know."""
        for version in _REVIEWS:
            group = f"authentication.k8s.io/{version}"
            body = {"apiVersion": group, "kind": "SelfSubjectReview"}
            try:
                answer = self._ask("POST", f"/apis/{group}/selfsubjectreviews", body)
            except NotFoundError:
                continue
            return str(answer.get("status", {}).get("userInfo", {}).get("username", "somebody"))
        group = "authorization.k8s.io/v1"
        spec = {"nonResourceAttributes": {"path": "/version", "verb": "get"}}
        self._ask(
            "POST",
            f"/apis/{group}/selfsubjectaccessreviews",
            {"apiVersion": group, "kind": "SelfSubjectAccessReview", "spec": spec},
        )
        return "somebody"

    def _ask(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        """A JSON answer of the API server."""
        server = self.values["server"].rstrip("/")
        answer = self._send(method, server, path, None if body is None else json.dumps(body).encode())
        if answer.status not in {200, 201}:
            raise _refused(server, answer.status, path)
        try:
            found = json.loads(answer.data)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise InfrastructureError(f"{server!r} does not answer as a Kubernetes API server", "check its URL")
        return found

    def _send(self, method: str, server: str, path: str, body: bytes | None) -> urllib3.BaseHTTPResponse:
        """The answer, whatever its status; tries again what may pass."""
        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        if self.values.get("token"):
            headers["Authorization"] = f"Bearer {self.values['token']}"
        try:
            with self._pool() as pool, warnings.catch_warnings():
                warnings.simplefilter("ignore", urllib3.exceptions.InsecureRequestWarning)  # the person wanted it
                return pool.request(method, server + path, body=body, headers=headers, retries=_RETRY, timeout=_TIMEOUT)
        except urllib3.exceptions.HTTPError as error:
            cause = getattr(error, "reason", None) or error
            if isinstance(cause, urllib3.exceptions.SSLError):
                raise InfrastructureError(
                    f"cluster {server!r} shows a certificate that is not trusted: {cause}",
                    "give the authority that signed it: --certificate_authority=@FILE",
                ) from error
            raise InfrastructureError(
                f"cluster {server!r} can't be reached: {cause}", "check its URL and your network"
            ) from error

    def _pool(self) -> urllib3.PoolManager:
        authority = "" if self.values.get("insecure") else self.values.get("certificate_authority", "")
        try:
            context = ssl.create_default_context(cadata=authority or None)
        except (ssl.SSLError, ValueError) as error:
            raise ConfigurationError(
                "the certificate of the cluster's authority is no PEM text",
                "give it as a file: --certificate_authority=@FILE",
            ) from error
        if self.values.get("insecure"):
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if self.values.get("client_certificate"):
            _load(context, self.values["client_certificate"], self.values.get("client_key", ""))
        return urllib3.PoolManager(ssl_context=context)


def _load(context: ssl.SSLContext, certificate: str, key: str) -> None:
    """Show a certificate; the library takes it from a file only, which nobody else can read and which goes at once."""
    import tempfile  # start-up time: few clusters want a certificate

    number, path = tempfile.mkstemp()
    try:
        with os.fdopen(number, "w", encoding="utf-8") as file:
            file.write(f"{certificate.rstrip()}\n{key}")
        context.load_cert_chain(path)
    except (ssl.SSLError, ValueError) as error:
        raise ConfigurationError("client certificate and key of the kubeconfig do not fit", "mend the file") from error
    finally:
        os.unlink(path)


def _refused(server: str, status: int, path: str) -> CoreError:
    what = f"cluster {server!r} answered {status} to {path}"
    if status == 401:
        return AuthenticationError(f"cluster {server!r} does not accept the credentials", _RIGHT)
    if status == 403:
        return NotAllowedError(what, "ask for a role that may use the cluster")
    if status == 404:
        return NotFoundError(what, "is it a Kubernetes API server?")
    return InfrastructureError(what, "try again later")
