"""The frames between a pipeline's call and a step's body: prints `[module, function]` from the outside in."""

import json
import os
import sys

from core import pipeline, step

found = []


@step(cache=False)
def look() -> None:
    frame = sys._getframe(1)
    while frame is not None and frame.f_code is not start.__code__:
        found.append([frame.f_globals.get("__name__", "?"), frame.f_code.co_qualname])
        frame = frame.f_back


@pipeline
def looking():
    look()


def start():
    looking()


start()
os.write(1, json.dumps(found[::-1]).encode() + b"\n")
