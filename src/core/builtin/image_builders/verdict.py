"""What to say of a build that failed: pip's own words, or its last lines."""

from __future__ import annotations

import re

from core.errors import ConfigurationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

LAST = 8
"""Lines of a build that are shown."""
_PIP = re.compile(r"(?:#\d+ [\d.]+ )?(ERROR: .*)")
_NOISE = re.compile(r"^\s*$|\[notice\]|^ ---> |^Removing intermediate|^WARNING: Running pip as")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def build_error(lines: Sequence[str]) -> ConfigurationError:
    """The error for a build that printed `lines`, the engine's own verdict last."""
    clean = [_COLOUR.sub("", line).rstrip() for line in lines]
    pip = [match[1] for line in clean if (match := _PIP.fullmatch(line))]
    if pip:
        return ConfigurationError(
            "the requirements of the environment image can't be installed:\n    " + "\n    ".join(pip[:3]),
            "mend the requirements; `pip install --dry-run` tries them here",
        )
    kept = [line for line in clean if not _NOISE.search(line)][-LAST:]
    return ConfigurationError(
        "the environment image can't be built; the last lines of the build:\n    " + "\n    ".join(kept),
        "mend what the last lines name: the Dockerfile, `apt_packages`, or the base image",
    )
