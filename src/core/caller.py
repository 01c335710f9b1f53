"""What a run records of its call: the options, the program, and who acts."""

from __future__ import annotations

import os
import sys

from core.version import VERSION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from core.model.spec import RunOptions


def recorded_options(options: RunOptions) -> dict[str, Any]:
    """What `core runs resume` must know of a call's options, as plain data; nothing where there are none."""
    if not (options.no_cache or options.fail_fast or options.steps) and options.workers is None:
        return {}
    from core.compile.options import plain_option  # start-up time: few calls have options

    no_cache = options.no_cache if isinstance(options.no_cache, bool) else sorted(options.no_cache)
    data = {"no_cache": no_cache, "fail_fast": options.fail_fast, "steps": plain_option(options.steps)}
    return {"options": {name: value for name, value in {**data, "workers": options.workers}.items() if value}}


def client_data() -> Mapping[str, str]:
    """Python, platform and core of this process, for the record."""
    version = ".".join(map(str, sys.version_info[:3]))
    return {"python": version, "platform": sys.platform, "core": VERSION, "program": sys.argv[0] if sys.argv else ""}


def actor() -> str:
    """`user@host` of this process."""
    user = os.environ.get("USER") or os.environ.get("USERNAME") or str(getattr(os, "getuid", lambda: "")())
    return f"{user}@{os.uname().nodename if hasattr(os, 'uname') else os.environ.get('COMPUTERNAME', '')}"
