"""Hands a connector's credentials to local tools: files of core's own, and variables that make a shell use them.

No secret is written and none stands on a command line: the tools call core when they need credentials
(`credential_process` of AWS, exec plugins of kubectl, credential helpers of docker). What the person has set up for
them stays as it is.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
from base64 import b64encode
from hashlib import sha256

from core.errors import ConfigurationError, InfrastructureError, UsageError
from core.model.nothing import NOTHING
from core.model.value import Value
from core.text import iso

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from core.ports.service_connector import ConnectorType, Credentials

FOLDER = "login"
"""In the home: a folder for each connector."""
TOOLS = {"aws-generic": "aws", "s3-bucket": "aws", "kubernetes-cluster": "kubectl", "docker-registry": "docker"}
"""Resource type to the tool that is set up for it."""
_HUB = ("docker.io", "index.docker.io", "https://index.docker.io/v1/")
"""Names under which docker looks for the login of its hub."""
_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")


class Login(Value):
    """What makes a tool use a connector."""

    files: Mapping[str, str]
    """Path below the connector's folder to the text that it gets."""
    variables: Mapping[str, str]
    """What a shell must set; `{folder}` stands for the connector's folder."""
    unset: tuple[str, ...] = ()
    """What is set and would be stronger."""
    said: str = ""
    """What can be done now."""
    programs: Mapping[str, str] = NOTHING
    """As `files`, for what the tool starts."""


def tool_type(kind: ConnectorType, resource_type: str) -> str:
    """The resource type to log in to: the one that was named, else the one that needs no id, or the only one."""
    offered = [each for each in kind.resource_types if each.name in TOOLS]
    if resource_type and resource_type not in TOOLS:
        raise UsageError(
            f"no local tool is known for resource type {resource_type!r}", f"there are tools for {', '.join(TOOLS)}"
        )
    if resource_type:
        return resource_type
    single = [each for each in offered if not each.form] or offered
    if len(single) != 1:
        names = ", ".join(each.name for each in offered)
        raise UsageError(
            f"which tool is to use it? type {kind.name!r} offers {names or 'none'}", "give --resource-type"
        )
    return single[0].name


def login(name: str, given: Credentials, call: Sequence[str], environment: Mapping[str, str]) -> Login:
    """What the tool for these credentials needs; `call` is the command with which it gets them each time."""
    make = {"aws": _aws, "kubectl": _kubectl, "docker": _docker}[TOOLS[given.resource_type]]
    return make(name, given, [*call, "--tool", TOOLS[given.resource_type]], environment)


def caller(home: str, project: str, name: str, resource_type: str, resource_id: str) -> list[str]:
    """The command that prints credentials of a connector, from anywhere; it holds no secret."""
    # -P: a folder `core` where the person works must not be taken for this package
    command = [sys.executable, "-P", "-m", "core", "service-connector", "print-credentials", name]
    command += ["--resource-type", resource_type, *(["--resource-id", resource_id] if resource_id else [])]
    return [*command, "--set", f"home={home}", "--set", f"project={project}"]


def write(home: str, name: str, made: Login) -> dict[str, str]:
    """Write the files, readable by this user only; the variables with their values."""
    folder = folder_of(home, name)
    try:
        for files, mode in ((made.files, 0o600), (made.programs, 0o700)):
            for path, text in files.items():
                _private(os.path.join(folder, os.path.dirname(path)))
                _replace(os.path.join(folder, path), text, mode)
    except OSError as error:
        raise InfrastructureError(f"the files in {folder!r} cannot be written: {error.strerror}", "see why") from error
    return {variable: value.replace("{folder}", folder) for variable, value in made.variables.items()}


def folder_of(home: str, name: str) -> str:
    """Folder of what `login` made for a connector."""
    return os.path.join(home, FOLDER, name)


def printed(tool: str, given: Credentials) -> str:
    """Credentials as the tool wants to read them."""
    values = given.values
    ends = None if given.expires_at is None else iso(given.expires_at)
    if tool == "aws":
        names = {
            "AccessKeyId": "access_key_id",
            "SecretAccessKey": "secret_access_key",
            "SessionToken": "session_token",
        }
        data: dict[str, Any] = {"Version": 1, **{key: values[each] for key, each in names.items() if values.get(each)}}
        return json.dumps(data | ({"Expiration": ends} if ends else {}))
    if tool == "kubectl":
        names = {"token": "token", "clientCertificateData": "client_certificate", "clientKeyData": "client_key"}
        status = {key: values[each] for key, each in names.items() if values.get(each)}
        status |= {"expirationTimestamp": ends} if ends else {}
        return json.dumps({"apiVersion": _EXEC, "kind": "ExecCredential", "status": status})
    return json.dumps({"ServerURL": values["server"], "Username": values["username"], "Secret": values["password"]})


_EXEC = "client.authentication.k8s.io/v1"


def _aws(name: str, given: Credentials, call: Sequence[str], environment: Mapping[str, str]) -> Login:
    """A profile in a configuration file of its own."""
    profile = f"core-{_plain(name)}"
    lines = [f"[profile {profile}]", f"credential_process = {shlex.join(call)}"]
    lines += [f"{key} = {given.values[key]}" for key in ("region", "endpoint_url") if given.values.get(key)]
    path = f"aws/{_plain(given.resource_id) or 'all'}.ini"
    variables = {"AWS_CONFIG_FILE": f"{{folder}}/{path}", "AWS_PROFILE": profile}
    stronger = tuple(key for key in _KEYS if environment.get(key))
    said = f"aws and every AWS SDK then use profile {profile!r}"
    return Login({path: "\n".join([*lines, ""])}, variables, stronger, said)


def _kubectl(name: str, given: Credentials, call: Sequence[str], environment: Mapping[str, str]) -> Login:
    """A context in a kubeconfig of its own, before those that there are."""
    values = given.values
    context = f"core-{_plain(name)}-{_plain(given.resource_id)}".rstrip("-")
    cluster: dict[str, Any] = {"server": values["server"]}
    if values.get("certificate_authority"):
        cluster["certificate-authority-data"] = b64encode(values["certificate_authority"].encode()).decode()
    if values.get("insecure"):
        cluster["insecure-skip-tls-verify"] = True
    exec_ = {"apiVersion": _EXEC, "command": call[0], "args": list(call[1:]), "interactiveMode": "Never"}
    place = {"cluster": context, "user": context}
    place |= {"namespace": values["namespace"]} if values.get("namespace") else {}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": context,
        "contexts": [{"name": context, "context": place}],
        "clusters": [{"name": context, "cluster": cluster}],
        "users": [{"name": context, "user": {"exec": exec_}}],
    }
    path = f"kubectl/{_plain(given.resource_id) or 'cluster'}.json"
    others = [
        each for each in environment.get("KUBECONFIG", "").split(os.pathsep) if each and f"/{FOLDER}/" not in each
    ]
    default = os.path.join(os.path.expanduser("~"), ".kube", "config")
    after = others or ([default] if os.path.exists(default) else [])
    variables = {"KUBECONFIG": os.pathsep.join([f"{{folder}}/{path}", *after])}
    return Login({path: json.dumps(config, indent=1)}, variables, (), f"kubectl then uses context {context!r}")


def _docker(name: str, given: Credentials, call: Sequence[str], environment: Mapping[str, str]) -> Login:
    """A configuration of its own with a credential helper; what else is configured is taken over, but no logins."""
    own = environment.get("DOCKER_CONFIG") or os.path.join(os.path.expanduser("~"), ".docker")
    own = os.path.join(os.path.expanduser("~"), ".docker") if f"/{FOLDER}/" in own else own
    config = _configuration(os.path.join(own, "config.json"))
    for key in ("auths", "currentContext"):  # what was logged in to stays where it is; contexts lie beside the file
        config.pop(key, None)
    helper, server = f"core-{_plain(name)}", given.values["server"]
    servers = _HUB if server in _HUB else (server,)
    config["credHelpers"] = {**config.get("credHelpers", {}), **dict.fromkeys(servers, helper)}
    config["cliPluginsExtraDirs"] = [*config.get("cliPluginsExtraDirs", []), os.path.join(own, "cli-plugins")]
    path = [each for each in environment.get("PATH", "").split(os.pathsep) if f"/{FOLDER}/" not in each]
    return Login(
        {"docker/config.json": json.dumps(config, indent=1)},
        {"DOCKER_CONFIG": "{folder}/docker", "PATH": os.pathsep.join(["{folder}/bin", *path])},
        (),
        f"docker then logs in to {server} by itself",
        {f"bin/docker-credential-{helper}": _HELPER.format(call=shlex.join(call))},
    )


_HELPER = """#!/bin/sh
# Asked by docker for a login; core keeps it.
case "$1" in
  get) cat > /dev/null; exec {call} ;;
  list) echo '{{}}' ;;
  *) cat > /dev/null ;;
esac
"""


def _configuration(path: str) -> dict[str, Any]:
    try:
        with open(path, encoding="utf-8") as file:
            data = json.load(file)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"docker's configuration {path!r} cannot be read: {error}", "mend the file") from error
    return dict(data) if isinstance(data, dict) else {}


def _plain(text: str) -> str:
    """`text` as a file's and a profile's name; told apart from others by a digest where it had to be changed."""
    bare = re.sub(r"[^A-Za-z0-9._-]+", "-", text.partition("://")[2] or text).strip("-.")[:60]
    return bare if bare == text else f"{bare}-{sha256(text.encode()).hexdigest()[:6]}" if text else ""


def _private(folder: str) -> None:
    """Make a folder, and those above it that are missing, for this user only."""
    if not os.path.isdir(folder):
        _private(os.path.dirname(folder))
        try:
            os.mkdir(folder, 0o700)
        except FileExistsError:
            return  # another process was faster


def _replace(path: str, text: str, mode: int) -> None:
    temporary = f"{path}.{os.getpid()}"
    number = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(number, "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(temporary, mode)
    os.replace(temporary, path)
