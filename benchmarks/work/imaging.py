"""Makes the images of `flow.py:flow` in this process; reports seconds, HTTP calls and bytes sent from then on."""

import json
import sys
import time

sys.path.insert(0, "")

import flow

from core.workspace import Workspace

seen: list[int] = []
"""Bytes that each call sent."""


def count() -> None:
    """Count what is asked of registries."""
    from core.oci.http import Http

    ask = Http.ask

    def counted(self: Http, method: str, url: str, **options: object) -> object:
        seen.append(len(options.get("body") or b""))  # type: ignore[arg-type]
        return ask(self, method, url, **options)

    Http.ask = counted  # type: ignore[assignment]


specs = flow.flow.compile({}).specs
with Workspace() as workspace:
    orchestrators = workspace.orchestrators(specs)
    began = time.perf_counter()
    from core.provide import Order, build

    count()
    made = build(workspace, Order("flow", flow.flow.options.image, specs, orchestrators), lambda _: None)
    took = time.perf_counter() - began
print(json.dumps({"seconds": took, "calls": len(seen), "sent": sum(seen), "reference": made[0].reference}))
