"""`core artifact-store`: see `component.py`."""

from __future__ import annotations

from core.cli.component import commands

COMMANDS = commands("artifact_store")
