"""Reads kubeconfig files: what one context needs to reach its cluster, and nothing else of the file."""

from __future__ import annotations

import os
import re
from base64 import b64decode
from binascii import Error

from core.errors import ConfigurationError, MissingDependencyError, NotFoundError
from core.text import closest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

LARGEST = 1 << 20
"""Characters of a file."""
_FILES = ("certificate-authority", "client-certificate", "client-key", "tokenFile")
_FLATTEN = "give what `kubectl config view --raw --flatten --minify` prints"


def read_context(text: str, wanted: str = "", folder: str = "") -> dict[str, str]:
    """Values of `Credentials` for a context, and `cluster`, its name; files are looked for only with a `folder`.

    Raises `ConfigurationError` for what is no kubeconfig or needs another program, `NotFoundError` for the context.
    """
    data = _parsed(text)
    contexts = _named(data, "context")
    name = wanted or str(data.get("current-context") or "") or (next(iter(contexts)) if len(contexts) == 1 else "")
    if name not in contexts:
        what = f"context {name!r}{closest(name, contexts)}" if name else "current context"
        raise NotFoundError(f"the kubeconfig has no {what}", f"its contexts: {', '.join(contexts) or 'none'}")
    context = contexts[name]
    cluster = _one(data, "cluster", context)
    user = _one(data, "user", context) if context.get("user") else {}
    _refuse(user, cluster, name, folder)
    given = {
        "cluster": str(context.get("cluster")),
        "server": str(cluster.get("server") or ""),
        "certificate_authority": _pem(cluster, "certificate-authority", folder),
        "insecure": "true" if cluster.get("insecure-skip-tls-verify") else "",
        "namespace": str(context.get("namespace") or ""),
        "token": str(user.get("token") or "") or _read(user.get("tokenFile"), folder).strip(),
        "client_certificate": _pem(user, "client-certificate", folder),
        "client_key": _pem(user, "client-key", folder),
    }
    if not given["server"].startswith(("https://", "http://")):
        raise ConfigurationError(f"context {name!r} of the kubeconfig has no server", "mend the file")
    return {key: value for key, value in given.items() if value}


def find_file(environment: Mapping[str, str]) -> tuple[str, str]:
    """Text and folder of the kubeconfig that kubectl would read first; raises `NotFoundError`."""
    home = os.path.join(environment.get("HOME") or os.path.expanduser("~"), ".kube", "config")
    paths = [path for path in environment.get("KUBECONFIG", "").split(os.pathsep) if path] or [home]
    for path in paths:
        try:
            with open(path, encoding="utf-8") as file:
                return file.read(LARGEST + 1), os.path.dirname(os.path.abspath(path))
        except FileNotFoundError:
            continue
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"the kubeconfig {path!r} cannot be read: {error}", "mend the file") from error
    raise NotFoundError(
        f"there is no kubeconfig at {' or '.join(map(repr, paths))}", "set KUBECONFIG, or give --kubeconfig=@FILE"
    )


def written(values: Mapping[str, str]) -> str:
    """A kubeconfig with the one context that `read_context` gives `values` for."""
    import json  # start-up time: only who registers a connector writes one; JSON is YAML too
    from base64 import b64encode  # start-up time: the same

    def coded(key: str) -> str:
        return b64encode(values[key].encode()).decode()

    cluster: dict[str, Any] = {"server": values["server"]}
    user: dict[str, Any] = {}
    if "certificate_authority" in values:
        cluster["certificate-authority-data"] = coded("certificate_authority")
    if "insecure" in values:
        cluster["insecure-skip-tls-verify"] = True
    if "token" in values:
        user["token"] = values["token"]
    for key in ("client_certificate", "client_key"):
        if key in values:
            user[f"{key.replace('_', '-')}-data"] = coded(key)
    name = values["cluster"]
    context = {"cluster": name, "user": name, **({"namespace": values["namespace"]} if "namespace" in values else {})}
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": name,
            "contexts": [{"name": name, "context": context}],
            "clusters": [{"name": name, "cluster": cluster}],
            "users": [{"name": name, "user": user}],
        }
    )


def _parsed(text: str) -> dict[str, Any]:
    try:
        import yaml  # start-up time: only this connector reads it
    except ImportError as error:
        raise MissingDependencyError("reading a kubeconfig needs the library pyyaml", "pip install pyyaml") from error
    if len(text) > LARGEST or len(re.findall(r"[&*][A-Za-z0-9_]", text)) > 50:
        raise ConfigurationError("the kubeconfig is too large, or full of aliases", _FLATTEN)
    try:
        data = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError):
        data = None
    if not isinstance(data, dict) or "contexts" not in data:
        raise ConfigurationError("what was given as kubeconfig is none", _FLATTEN)
    return data


def _named(data: Mapping[str, Any], what: str) -> dict[str, Any]:
    """Entries of `contexts`, `clusters` or `users` by name."""
    items = [item for item in data.get(f"{what}s") or () if isinstance(item, dict)]
    return {str(item.get("name")): item.get(what) or {} for item in items}


def _one(data: Mapping[str, Any], what: str, context: Mapping[str, Any]) -> dict[str, Any]:
    entries, name = _named(data, what), str(context.get(what))
    if not isinstance(entries.get(name), dict):
        raise ConfigurationError(f"the kubeconfig has no {what} {name!r}, which its context names", _FLATTEN)
    return dict(entries[name])


def _refuse(user: Mapping[str, Any], cluster: Mapping[str, Any], name: str, folder: str) -> None:
    """What core can't use."""
    program = user.get("exec") or user.get("auth-provider")
    if program:
        which = program.get("command") or program.get("name") if isinstance(program, dict) else program
        raise ConfigurationError(
            f"context {name!r} of the kubeconfig gets its credentials from program {which!r}, which core does not run",
            "use the connector of the cloud that runs the cluster, or a service account's token (--auth-method token)",
        )
    files = [key for part in (user, cluster) for key in _FILES if part.get(key) and not part.get(f"{key}-data")]
    if files and not folder:
        raise ConfigurationError(f"context {name!r} of the kubeconfig names a file ({files[0]})", _FLATTEN)


def _pem(part: Mapping[str, Any], key: str, folder: str) -> str:
    """Text of a certificate or key, wherever it stands."""
    coded = part.get(f"{key}-data")
    if not coded:
        return _read(part.get(key), folder)
    try:
        return b64decode(str(coded), validate=True).decode()
    except (Error, UnicodeDecodeError):
        raise ConfigurationError(f"{key}-data of the kubeconfig is no base64 of a PEM text", "mend the file") from None


def _read(path: object, folder: str) -> str:
    if not path:
        return ""
    try:
        with open(os.path.join(folder, str(path)), encoding="utf-8") as file:
            return file.read(LARGEST)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"{path!r}, which the kubeconfig names, cannot be read: {error}", "mend the file"
        ) from error
