"""What went wrong with AWS, in words: an error of botocore as one of core's, with the missing permission and a hint."""

from __future__ import annotations

import re

from core.builtin.stores.retry import chain, code_of, nobody_listens, status_of, transient
from core.errors import AuthenticationError, CoreError, InfrastructureError, NotAllowedError, NotFoundError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    T = TypeVar("T")

EXPIRED = {"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"}
WRONG = {
    "AuthFailure", "IncompleteSignature", "InvalidAccessKeyId", "InvalidClientTokenId", "InvalidSignatureException",
    "InvalidToken", "MissingAuthenticationToken", "SignatureDoesNotMatch", "UnrecognizedClientException",
}  # fmt: skip
DENIED = {"AccessDenied", "AccessDeniedException", "AllAccessDisabled", "Forbidden", "UnauthorizedOperation", "403"}
MISSING = {"NoSuchBucket", "NoSuchKey", "NotFound", "RepositoryNotFoundException", "ResourceNotFoundException", "404"}
CLOCK = {"RequestTimeTooSkewed", "RequestInTheFuture"}
_NO_KEYS = {
    "CredentialRetrievalError", "NoCredentialsError", "PartialCredentialsError", "SSOTokenLoadError",
    "TokenRetrievalError", "UnauthorizedSSOTokenError",
}  # fmt: skip
_PERMISSION = re.compile(r"not authorized to perform:? `?([a-z0-9-]+:[A-Za-z*]+)")
_OPERATION = re.compile(r"when calling the (\w+) operation")
_S3 = {
    "HeadBucket": "s3:ListBucket",
    "HeadObject": "s3:GetObject",
    "ListBuckets": "s3:ListAllMyBuckets",
    "ListObjects": "s3:ListBucket",
    "ListObjectsV2": "s3:ListBucket",
    "ListMultipartUploads": "s3:ListBucketMultipartUploads",
    "CreateMultipartUpload": "s3:PutObject",
    "UploadPart": "s3:PutObject",
    "CompleteMultipartUpload": "s3:PutObject",
}
"""S3 does not always say which permission is missing: what its operations want."""


def asked(what: str, work: Callable[[], T], service: str = "s3") -> T:
    """What `work()` gives; an error of AWS says that `what` (such as `list the buckets`) was not possible."""
    try:
        return work()
    except CoreError:
        raise
    except Exception as error:  # border of a library
        raise aws_error(what, error, service) from error


def aws_error(what: str, error: BaseException, service: str = "s3") -> CoreError:
    """The error of core for `error`, which came when core tried to do `what`."""
    code, names = "", {type(one).__name__ for one in chain(error)}
    for one in chain(error):
        code = code or code_of(one)
    head, told = f"AWS: can't {what}", message_of(error)
    who = _who_is_wrong(code, names, head, told)
    if who is not None:
        return who
    if code in DENIED or status_of(error) == 403:
        permission = permission_of(error, service)
        hint = f"allow {permission} to the user or role that `core service-connector verify` tells"
        return NotAllowedError(f"{head}: the permission {permission} is missing", hint)
    if code in MISSING:
        return NotFoundError(f"{head}: {told}", LOOK)
    if "NoRegionError" in names:
        return NotFoundError(f"{head}: no region is known", "give the connector one: --region=eu-west-1")
    if nobody_listens(error):
        return InfrastructureError(f"{head}: nobody answers ({told})", "look at network, region and endpoint URL")
    return InfrastructureError(f"{head}: {told}", "try again in a moment" if transient(error) else "AWS said so")


def _who_is_wrong(code: str, names: set[str], head: str, told: str) -> CoreError | None:
    """The error where the credentials are wrong, missing or over."""
    if code in EXPIRED:
        return AuthenticationError(f"{head}: the credentials have expired", RENEW)
    if code in CLOCK:
        return AuthenticationError(f"{head}: this machine's clock is wrong ({told})", "set it: AWS allows 5 minutes")
    if code in WRONG:
        return AuthenticationError(f"{head}: AWS does not accept the credentials ({code})", REGISTER)
    if names & _NO_KEYS:
        return AuthenticationError(f"{head}: there are no credentials ({told})", REGISTER)
    if "ProfileNotFound" in names:
        return NotFoundError(f"{head}: {told}", "`aws configure list-profiles` tells which there are; set AWS_PROFILE")
    return None


LOOK = "look at name, region and account; `core service-connector list-resources` shows what is in reach"
RENEW = (
    "make new ones and `core service-connector update NAME`; methods iam-role and federation-token renew by themselves"
)
REGISTER = "look at the keys: `core service-connector describe NAME` shows which are used, `update NAME` takes others"


def permission_of(error: BaseException, service: str = "s3") -> str:
    """The missing permission, such as `s3:PutObject`: as AWS names it, or what the operation wants."""
    for one in chain(error):
        found = _PERMISSION.search(str(one))
        if found:
            return found.group(1)
    for one in chain(error):
        operation = getattr(one, "operation_name", "") or "".join(_OPERATION.findall(str(one))[:1])
        if operation:
            return _S3.get(operation, f"{service}:{operation}") if service == "s3" else f"{service}:{operation}"
    return f"{service}:*"


def message_of(error: BaseException) -> str:
    """AWS's own words, without botocore's frame around them."""
    for one in chain(error):
        told = getattr(one, "response", None)
        if isinstance(told, dict) and told.get("Error", {}).get("Message"):
            return str(told["Error"]["Message"])
    return f"{type(error).__name__}: {error}"
