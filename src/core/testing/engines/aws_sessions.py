"""Sessions as AWS has them, put into moto: real keys for all four kinds, an end of life, session policies."""

from __future__ import annotations

import functools
import json
import secrets
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from botocore.credentials import Credentials
from moto.core.exceptions import AccessDeniedError, JsonRESTError, _RESTError
from moto.iam import access_control
from moto.iam.access_control import (
    AssumedRoleAccessKey,
    CreateAccessKeyFailure,
    IAMPolicy,
    IAMRequest,
    IAMRequestBase,
    IAMUserAccessKey,
    PermissionResult,
    S3IAMRequest,
)
from moto.iam.models import iam_backends
from moto.s3.exceptions import S3ClientError
from moto.sts import responses as sts
from moto.sts.models import STSBackend

if TYPE_CHECKING:
    from collections.abc import Mapping

lifetimes: dict[str, float] = {}
"""Seconds that new sessions and logins live at most, by name of the user or role that they are of."""
DENY_ALL = '{"Version": "2012-10-17", "Statement": []}'
PERMISSIONS = {"s3:HeadBucket": "s3:ListBucket", "s3:HeadObject": "s3:GetObject"}
"""Permissions that moto calls by their operations."""
_sessions: dict[str, Session] = {}


class Session:
    """Temporary keys, of a user or of a role."""

    def __init__(self, owner: Any, key: str, secret: str, token: str, seconds: float, policy: str, arn: str) -> None:
        self.owner, self.key, self.secret, self.token = owner, key, secret, token
        self.policy = policy
        """Narrows what the owner may do; empty: does not."""
        self.arn = arn
        self.expires = datetime.now(UTC) + timedelta(seconds=capped(seconds, owner.arn))

    def create_credentials(self) -> Credentials:
        """For checking signatures."""
        return Credentials(self.key, self.secret, self.token)

    def collect_policies(self) -> list[Any]:
        """Those of the owner, as they are now."""
        return self.owner.collect_policies()  # type: ignore[no-any-return]


def capped(seconds: float, arn: str) -> float:
    """How long something of `arn` lives that would live `seconds`."""
    return min([seconds, *(limit for name, limit in lifetimes.items() if name in arn.split("/"))])


def find_key(account_id: str, partition: str, access_key_id: str, headers: Mapping[str, str]) -> Any:
    """The session or user that signed; raises as moto does, with the reason `Expired` besides."""
    session = _sessions.get(access_key_id)
    if session is None:
        if access_key_id.startswith("ASIA"):
            raise CreateAccessKeyFailure(reason="InvalidId")
        return IAMUserAccessKey(account_id, partition, access_key_id, dict(headers))
    if headers.get("X-Amz-Security-Token") != session.token:
        raise CreateAccessKeyFailure(reason="InvalidToken")
    if datetime.now(UTC) >= session.expires:
        raise CreateAccessKeyFailure(reason="Expired")
    return session


def permits(policies: list[Any], action: str, resource: str) -> bool:
    """Whether the policies together allow it: one must, none may deny."""
    found = [IAMPolicy(policy).is_action_permitted(action, resource) for policy in policies]
    return PermissionResult.PERMITTED in found and PermissionResult.DENIED not in found


def install() -> None:
    """Put all of it into moto."""
    access_control.create_access_key = find_key
    _speak_json()
    _sign_empty_bodies()
    whole = IAMRequestBase.check_action_permitted

    @functools.wraps(whole)
    def check(self: Any, resource: str) -> None:
        self._action = PERMISSIONS.get(self._action, self._action)
        resource = _resource(self) if resource == "*" else resource
        whole(self, resource)
        if _of_another_account(self):
            self._raise_access_denied()
        policy = getattr(self._access_key, "policy", "")
        narrowed = policy and self._action != "sts:GetCallerIdentity"
        if narrowed and not permits([policy], self._action, resource):
            self._raise_access_denied()

    _put(IAMRequestBase, "check_action_permitted", check)
    _replace_tokens()


def _put(owner: type, name: str, function: Any) -> None:
    """In the place of moto's own method."""
    setattr(owner, name, function)


class _Refused(_RESTError):
    code = 403


class _RefusedInJson(JsonRESTError):
    code = 403


JSON = {"ecr", "eks"}
"""Services that answer in JSON; moto would refuse in XML, which no SDK reads there."""
_WORDS = {
    "ExpiredToken": "The security token included in the request is expired",
    "UnrecognizedClient": "The security token included in the request is invalid.",
    "InvalidSignature": "The request signature we calculated does not match the signature you provided.",
}


def _resource(request: Any) -> str:
    """ARN of the cluster or repository that is asked for: moto does not look. `*` where it is none."""
    where = f"arn:aws:{request._service}:{request._region}:{request.account_id}"
    if request._service == "eks":
        name = request._path.partition("?")[0].removeprefix("/clusters").strip("/")
        return f"{where}:cluster/{name.partition('/')[0]}" if name else "*"
    if request._service == "ecr":
        asked = json.loads(request._body or b"{}")
        name = asked.get("repositoryName") or next(iter(asked.get("repositoryNames") or ()), "")
        return f"{where}:repository/{name}" if name else "*"
    return "*"


def _of_another_account(request: Any) -> bool:
    """Whether a registry is asked for that is not of the account: nobody let us in there."""
    if request._service != "ecr":
        return False
    wanted = json.loads(request._body or b"{}").get("registryId", "")
    return bool(wanted and wanted != request.account_id)


def _speak_json() -> None:
    """Let each refusal come as its service words it, that of an expired token too."""
    key = IAMRequest._raise_invalid_access_key
    signature = IAMRequest._raise_signature_does_not_match
    action = IAMRequest._raise_access_denied
    bucket = S3IAMRequest._raise_invalid_access_key

    def invalid_key(self: Any, reason: str) -> None:
        word = "ExpiredToken" if reason == "Expired" else "UnrecognizedClient"
        if self._service in JSON:
            raise _RefusedInJson(f"{word}Exception", _WORDS[word])
        if reason == "Expired":
            raise _Refused(word, _WORDS[word])
        key(self, reason)

    def wrong_signature(self: Any) -> None:
        if self._service in JSON:
            raise _RefusedInJson("InvalidSignatureException", _WORDS["InvalidSignature"])
        signature(self)

    def not_allowed(self: Any) -> None:
        if self._service in JSON:
            who = self._access_key.arn
            raise _RefusedInJson("AccessDeniedException", f"User: {who} is not authorized to perform: {self._action}")
        action(self)

    def invalid_bucket_key(self: Any, reason: str) -> None:
        if reason == "Expired":
            raise S3ClientError("ExpiredToken", "The provided token has expired.")
        bucket(self, reason)

    _put(IAMRequest, "_raise_invalid_access_key", invalid_key)
    _put(IAMRequest, "_raise_signature_does_not_match", wrong_signature)
    _put(IAMRequest, "_raise_access_denied", not_allowed)
    _put(S3IAMRequest, "_raise_invalid_access_key", invalid_bucket_key)


def _sign_empty_bodies() -> None:
    """Check a GET's signature over its empty body: moto takes its query for the body, which no REST service signs."""
    usual = IAMRequestBase._create_aws_request

    def request(self: Any) -> Any:
        kept = self._data
        if self._service != "s3" and self._method in {"GET", "HEAD", "DELETE"}:
            self._data = b""
        try:
            return usual(self)
        finally:
            self._data = kept

    _put(IAMRequestBase, "_create_aws_request", request)


def _replace_tokens() -> None:
    usual, who = STSBackend.assume_role, STSBackend.get_caller_identity

    def assume_role(self: Any, **wanted: Any) -> Any:
        arn = wanted["role_arn"]
        backend = iam_backends[self.account_id][self.partition]
        if arn not in {role.arn for role in backend.roles.values()}:
            raise AccessDeniedError(user_arn="the caller", action="sts:AssumeRole")
        role = usual(self, **wanted)
        headers = {"X-Amz-Security-Token": role.session_token}
        owner = AssumedRoleAccessKey(self.account_id, self.partition, role.access_key_id, headers)
        found = role.access_key_id, role.secret_access_key, role.session_token
        key = Session(owner, *found, wanted["duration"], wanted["policy"] or "", role.arn)
        role.expiration = key.expires
        _sessions[key.key] = key
        return role

    def get_caller_identity(self: Any, access_key_id: str, region: str) -> Any:
        session = _sessions.get(access_key_id)
        return (access_key_id, session.arn, self.account_id) if session else who(self, access_key_id, region)

    _put(STSBackend, "assume_role", assume_role)
    _put(STSBackend, "get_caller_identity", get_caller_identity)
    _wrap("get_session_token", _session_of_user)
    _wrap("get_federation_token", _federated)


def _wrap(name: str, make: Any) -> None:
    """Answer the call with keys that work."""
    usual = getattr(sts.TokenResponse, name)

    def answer(self: Any) -> Any:
        result = usual(self)
        owner = access_control.create_access_key(self.current_account, self.partition, self.access_key, self.headers)
        key = make(self, owner)
        _sessions[key.key] = key
        result._result["Credentials"] = {
            "AccessKeyId": key.key,
            "SecretAccessKey": key.secret,
            "SessionToken": key.token,
            "Expiration": key.expires,
        }
        return result

    setattr(sts.TokenResponse, name, answer)


def _session_of_user(response: Any, owner: Any) -> Session:
    if isinstance(owner, Session):
        raise AccessDeniedError(user_arn=owner.arn, action="sts:GetSessionToken")
    return Session(owner, *_keys(), response._get_int_param("DurationSeconds", 43200), "", owner.arn)


def _federated(response: Any, owner: Any) -> Session:
    if isinstance(owner, Session):
        raise AccessDeniedError(user_arn=owner.arn, action="sts:GetFederationToken")
    arn = f"arn:{response.partition}:sts::{response.current_account}:federated-user/{response._get_param('Name')}"
    policy = response._get_param("Policy") or DENY_ALL
    return Session(owner, *_keys(), response._get_int_param("DurationSeconds", 43200), policy, arn)


def _keys() -> tuple[str, str, str]:
    return "ASIA" + secrets.token_hex(8).upper(), secrets.token_urlsafe(30), secrets.token_urlsafe(200)
