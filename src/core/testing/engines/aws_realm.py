"""What surrounds ECR and EKS in moto's server: registry logins that are checked and end, tokens of clusters, a CA."""

from __future__ import annotations

import json
import secrets
import time
from base64 import b64encode, urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.x509.oid import NameOID
from moto.core.responses import ActionResult
from moto.ecr.models import ecr_backends
from moto.ecr.responses import ECRResponse
from moto.eks.models import Cluster
from moto.iam import access_control
from moto.iam.access_control import CreateAccessKeyFailure

from core.testing.engines import aws_sessions

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

CERTIFICATE = "realm.pem"
"""File in the engine's folder: the registry checks the realm's signatures with it."""
HOURS = 12
"""Life of a registry login."""
_logins: dict[str, tuple[float, Any, str]] = {}


def install(folder: Path) -> None:
    """Put logins and the certificate into moto, and write the certificate to `folder`."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "core")])
    now = datetime.now(UTC)
    life = now - timedelta(hours=1), now + timedelta(days=2)
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), *life)
    made = made.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    certificate = made.sign(key, hashes.SHA256())
    Realm.key, Realm.certificate = key, certificate.public_bytes(serialization.Encoding.DER)
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    (folder / CERTIFICATE).write_bytes(pem)
    setattr(ECRResponse, "get_authorization_token", _login)  # noqa: B010 - a method of moto's
    usual = Cluster.__init__

    def begin(self: Any, *words: Any, **options: Any) -> None:
        usual(self, *words, **options)
        self.certificate_authority = {"data": b64encode(pem).decode()}
        self.endpoint = self.tags.get("endpoint", self.endpoint)

    setattr(Cluster, "__init__", begin)  # noqa: B010 - the same


def _login(self: Any) -> ActionResult:
    """`GetAuthorizationToken`: a new password that the realm knows."""
    token = secrets.token_urlsafe(48)
    owner = None
    if "Authorization" in self.headers:
        try:
            owner = access_control.create_access_key(
                self.current_account, self.partition, self.access_key, self.headers
            )
        except CreateAccessKeyFailure:
            owner = None  # authorisation is off: nobody asks whose it is
    expires = time.time() + aws_sessions.capped(HOURS * 3600, owner.arn if owner else "")
    _logins[token] = (expires, owner, self.region)
    data = {
        "authorizationToken": b64encode(f"AWS:{token}".encode()).decode(),
        "expiresAt": datetime.fromtimestamp(expires, UTC),
        "proxyEndpoint": f"https://{self.current_account}.dkr.ecr.{self.region}.amazonaws.com",
    }
    return ActionResult({"authorizationData": [data]})


class Realm:
    """Signs what a login may do: repositories must exist, and pushing wants `ecr:PutImage`."""

    key: ec.EllipticCurvePrivateKey
    certificate: bytes

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def answer(self, login: Any, scopes: Sequence[str]) -> tuple[int, dict[str, Any]]:
        """Status and body for a client that wants a token for `scopes`."""
        known = _logins.get(login.password or "") if login is not None and login.username == "AWS" else None
        if known is None or known[0] < time.time():
            return 401, {"errors": [{"code": "UNAUTHORIZED", "message": "authentication required"}]}
        access = []
        for scope in scopes:
            kind, _, rest = scope.partition(":")
            name, _, actions = rest.rpartition(":")
            allowed = [action for action in actions.split(",") if _may(known[1], known[2], name, action)]
            access.append({"type": kind, "name": name, "actions": allowed})
        return 200, {"token": self._signed(access), "expires_in": 300}

    def _signed(self, access: list[dict[str, Any]]) -> str:
        now = int(time.time())
        header = {"typ": "JWT", "alg": "ES256", "x5c": [b64encode(self.certificate).decode()]}
        claims = {
            "iss": "core",
            "sub": "AWS",
            "aud": "core-registry",
            "exp": now + 300,
            "nbf": now - 30,
            "iat": now - 30,
        }
        claims |= {"jti": secrets.token_hex(8), "access": access}
        text = b".".join(_base64(json.dumps(part).encode()) for part in (header, claims))
        r, s = decode_dss_signature(self.key.sign(text, ec.ECDSA(hashes.SHA256())))
        return b".".join([text, _base64(r.to_bytes(32, "big") + s.to_bytes(32, "big"))]).decode()


def _may(owner: Any, region: str, repository: str, action: str) -> bool:
    backends = [backend for account in list(ecr_backends.values()) for backend in account.values()]
    if not any(repository in backend.repositories for backend in backends):
        return False
    if owner is None:
        return True
    arn = f"arn:aws:ecr:{region}:{owner.arn.split(':')[4]}:repository/{repository}"
    wanted = "ecr:PutImage" if action == "push" else "ecr:BatchGetImage"
    narrowed = getattr(owner, "policy", "")
    allowed = aws_sessions.permits(owner.collect_policies(), wanted, arn)
    return allowed and (not narrowed or aws_sessions.permits([narrowed], wanted, arn))


def verify_cluster_token(token: str, cluster: str, account: str = "123456789012") -> tuple[int, dict[str, Any]]:
    """What a cluster's API server does with a token: 200 and whose it is, or 401 and why not."""
    body = token.removeprefix("k8s-aws-v1.")
    url = urlsplit(urlsafe_b64decode(body + "=" * (-len(body) % 4)).decode())
    query = dict(parse_qsl(url.query))
    signed_at = datetime.strptime(query["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    if query.get("Action") != "GetCallerIdentity" or query["X-Amz-SignedHeaders"] != "host;x-k8s-aws-id":
        return 401, {"error": "signs something else"}
    if datetime.now(UTC) - signed_at > timedelta(minutes=15):
        return 401, {"error": "older than 15 minutes"}
    key, _, region, _, _ = query["X-Amz-Credential"].split("/")
    headers = {"X-Amz-Security-Token": query["X-Amz-Security-Token"]} if "X-Amz-Security-Token" in query else {}
    try:
        owner = access_control.create_access_key(account, "aws", key, headers)
    except CreateAccessKeyFailure as failure:
        return 401, {"error": failure.reason}
    given = query.pop("X-Amz-Signature")
    request = AWSRequest(
        "GET", f"{url.scheme}://{url.netloc}{url.path or '/'}", {"x-k8s-aws-id": cluster}, params=query
    )
    request.context["timestamp"] = query["X-Amz-Date"]
    auth = SigV4QueryAuth(owner.create_credentials(), "sts", region)
    signature = auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)
    return (200, {"arn": owner.arn}) if signature == given else (401, {"error": "the signature is of another cluster"})


def _base64(data: bytes) -> bytes:
    return urlsafe_b64encode(data).rstrip(b"=")
