"""The recipe of an environment image, and the key that says whether it was made before."""

from __future__ import annotations

import json
import os
from hashlib import sha256

from core.errors import ConfigurationError
from core.image.context import context_digest
from core.image.layer import USER as NUMBER
from core.image.options import base_of, platform_of, python_of
from core.image.wheel import make_wheel
from core.oci.media import digest_of, to_json
from core.ports.image_builder import BASE, USER, Recipe
from core.text import first_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from core.image.requirements import Requirements
    from core.image.wheel import Package
    from core.model.spec import ImageSettings

VERSION = 1
"""Of what recipes mean: a change of it builds every environment anew."""
PLACE = "/opt/core"
"""Folder of the image for what is installed from files."""
HOME = "/home/core"
"""Home of the user that containers run as, for programs that keep something there."""
_PIP = "PIP_BREAK_SYSTEM_PACKAGES=1 PIP_ROOT_USER_ACTION=ignore PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1"
_INSTALL = f"{_PIP} python3 -m pip install --progress-bar=off --no-warn-script-location"
_WORDS = (
    (f"-r {PLACE}/requirements.txt", "installing the requirements"),
    (f"pip install --progress-bar=off --no-warn-script-location {PLACE}/", "installing core"),
    ("apt-get install", "installing Debian packages"),
    (f"mkdir -p {HOME}", "making the user that steps run as"),
    ("command -v python", "looking at its Python"),
    (f" {PLACE}/", "copying wheels and requirements"),
)
"""What stands in a command of the recipe, and what it is for people."""
_CONFIGURED = "if [ -f /run/secrets/pip_conf ]; then export PIP_CONFIG_FILE=/run/secrets/pip_conf; fi"


def make_recipe(
    settings: ImageSettings,
    requirements: Requirements,
    packages: Sequence[Package],
    root: str,
    pin: Callable[[str], str],
) -> tuple[Recipe, Mapping[str, str]]:
    """The recipe for `settings` but for wheels and secrets (`complete` adds them), and the parts of its key.

    `pin` gives the base by digest. The parts go by the names that people know, to say which of them changed.
    """
    own, context = _own(settings, root)
    base = "" if own else pin(base_of(settings))
    files = {"requirements.txt": f"{requirements.text}\n".encode()} if requirements.text else {}
    wheels = [package.wheel for package in packages]
    dockerfile = _dockerfile(settings, wheels, bool(requirements.text), sorted(settings.build_secrets))
    parts = {
        "base image": base,
        "platform": platform_of(settings),
        "requirements": digest_of(requirements.text.encode()),
        "core or a plugin of it": "\n".join(f"{package.wheel} {package.digest}" for package in packages),
        "Dockerfile": digest_of(own.encode()) if own else "",
        "build context": context_digest(context),
        "apt packages, variables or names of build secrets": digest_of(dockerfile.encode()),
    }
    key = sha256(to_json({"version": VERSION, **parts})).hexdigest()
    return Recipe(key, dockerfile, base, platform_of(settings), files, own, context), parts


def complete(recipe: Recipe, packages: Sequence[Package], secrets: Mapping[str, str]) -> Recipe:
    """The recipe ready to be built; `secrets` are in the clear."""
    wheels = {package.wheel: make_wheel(package) for package in packages}
    return recipe._replace(files={**recipe.files, **wheels}, secrets=secrets)


def plainly(command: str) -> str:
    """What a command of a Dockerfile does, in words where it is one of the recipe's own."""
    for sign, words in _WORDS:
        if sign in command:
            return words
    return first_line(command)


def _own(settings: ImageSettings, root: str) -> tuple[str, str]:
    """Text of the user's Dockerfile, and its context; both empty without one."""
    if not settings.dockerfile:
        return "", ""
    path = os.path.join(root, settings.dockerfile)
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"the Dockerfile {path!r} can't be read: {getattr(error, 'strerror', None) or 'it is not UTF-8'}",
            "give its path relative to the project",
        ) from error
    return text, os.path.join(root, settings.build_context) if settings.build_context else ""


def _dockerfile(settings: ImageSettings, wheels: Sequence[str], has_requirements: bool, secrets: Sequence[str]) -> str:  # noqa: FBT001
    """From the base to an environment with requirements, core, and a user that is not root."""
    wanted = settings.python_version or ("" if settings.base_image or settings.dockerfile else python_of(settings))
    mounts = "".join(f"--mount=type=secret,id={name} " for name in secrets)
    lines = [f"FROM {BASE}", "USER root"]
    if settings.apt_packages:
        packages = " ".join(sorted(settings.apt_packages))
        lines.append(
            f"RUN {mounts}apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -qy "
            f"--no-install-recommends {packages} && rm -rf /var/lib/apt/lists/*"
        )
    lines.append(f"RUN {_check(wanted)}")
    if has_requirements:
        lines.append(f"COPY requirements.txt {PLACE}/")
        lines.append(f"RUN {mounts}{_CONFIGURED}; {_INSTALL} -r {PLACE}/requirements.txt")
    lines.append(f"COPY {' '.join(wheels)} {PLACE}/")
    lines.append(f"RUN {mounts}{_CONFIGURED}; {_INSTALL} {' '.join(f'{PLACE}/{name}' for name in wheels)}")
    lines.append(
        f"RUN mkdir -p {HOME} /app && chown {NUMBER}:{NUMBER} {HOME} /app && "
        f"{{ grep -q '^[^:]*:[^:]*:{NUMBER}:' /etc/passwd || "
        f"echo 'core:x:{NUMBER}:{NUMBER}::{HOME}:/bin/sh' >> /etc/passwd; }}"
    )
    lines += [f"ENV {name}={quoted(value)}" for name, value in sorted(settings.environment.items())]
    return "\n".join([*lines, "ENV PYTHONUNBUFFERED=1", "WORKDIR /app", f"USER {USER}", ""])


def _check(version: str) -> str:
    """A command that finds Python, under the name `python` too, and looks at its version."""
    named = 'command -v python >/dev/null || ln -s "$(command -v python3)" /usr/local/bin/python'
    if not version:
        return named
    numbers = ", ".join(version.split("."))
    count = version.count(".") + 1
    test = f"import sys; sys.exit(sys.version_info[:{count}] != ({numbers}) and sys.version + ' is not {version}')"
    return f'{named}; python3 -c "{test}"'


def quoted(text: str) -> str:
    """A value of ENV or LABEL as it is, without Docker's substitution."""
    return json.dumps(text, ensure_ascii=False).replace("$", "\\$")
