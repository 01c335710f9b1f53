"""The cache key of a node, and its fingerprint: the parts of the key by name, from which reasons are told."""

from __future__ import annotations

from blake3 import blake3

from core.digest.canonical import digest_of, pack
from core.digest.code import fingerprint
from core.model.graph import Collect, Edge, present
from core.model.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from core.digest.code import CodeFingerprint
    from core.model.artifact import ArtifactRef
    from core.model.graph import Binding, Node
    from core.model.spec import StepSpec

KEY_VERSION = 1
"""Counts up when keys are made in another way, so that none made in the old way is found."""
MAX_BYTES = 400
"""Packed bytes up to which a parameter's value stands in the fingerprint itself."""
MAX_EDGES = 100
"""Edges up to which an input's artifacts stand in the fingerprint one by one."""
_SMALL = frozenset({type(None), bool, int, float})


class StepKey(Value):
    """What all nodes of a step have in common."""

    hasher: Any
    """Has taken in everything that does not differ from node to node; copy it."""
    code: CodeFingerprint
    fingerprint: Mapping[str, Any]


def step_key(spec: StepSpec, code: CodeFingerprint | None = None) -> StepKey:
    """Key parts of a step: its code, and the environment and materializers that it declares."""
    code = code or fingerprint(spec.function)
    options = spec.options
    environment = dict(options.environment)
    materializers = dict(options.materializers)
    static = pack([KEY_VERSION, code.digest, environment, materializers])
    return StepKey(
        blake3(static),
        code,
        {
            "version": KEY_VERSION,
            "code": code.digest,
            # digests only: a variable may hold a secret
            "environment": {name: digest_of(value) for name, value in environment.items()},
            "materializers": materializers,
        },
    )


def node_key(step: StepKey, node: Node, done: Mapping[str, Mapping[str, ArtifactRef]]) -> tuple[str, dict[str, Any]]:
    """Cache key and fingerprint of a node whose inputs are `done`."""
    hasher = step.hasher.copy()
    hasher.update(pack(node.outputs))
    hasher.update(pack(dict(node.parameters)))
    if node.walked:
        hasher.update(pack(["walked", dict(node.walked)]))
    found = own_fingerprint(step, node)
    inputs: dict[str, list[Any]] = {}
    for name in sorted(node.inputs):
        tokens, inputs[name] = _input(name, node.inputs[name], done)
        hasher.update(pack(tokens))
    found["inputs"] = inputs
    return "blake3:" + hasher.hexdigest(), found


def own_fingerprint(step: StepKey, node: Node) -> dict[str, Any]:
    """The fingerprint of a node without its inputs."""
    found = {
        **step.fingerprint,
        "outputs": list(node.outputs),
        "parameters": {name: _cut(value) for name, value in node.parameters.items()},
    }
    if node.walked:
        found["walked"] = dict(node.walked)
    return found


def _cut(value: Any) -> Any:
    if type(value) in _SMALL or len(packed := pack(value)) <= MAX_BYTES:
        return value
    return {"digest": "blake3:" + blake3(packed).hexdigest()}


def _input(name: str, binding: Binding, done: Mapping[str, Mapping[str, ArtifactRef]]) -> tuple[list[Any], list[Any]]:
    """What an input adds to the key (its shape and artifacts, not whence they come), and to the fingerprint."""
    if isinstance(binding, Edge):
        if binding.node not in done:  # skipped on purpose
            return [name, "none"], [[binding.node, binding.output, ""]]
        identity = done[binding.node][binding.output].identity
        return [name, "edge", identity], [[binding.node, binding.output, identity]]
    tokens: list[Any] = [name]
    shape: list[Any] = []
    edges: list[list[str]] = []
    stack: list[tuple[str, Binding]] = [("", binding)]
    while stack:  # counts stand before what they count, so the flat list reads in one way only
        key, item = stack.pop()
        if isinstance(item, Edge):
            if item.node not in done:
                rest = present(binding, done)
                return ([name, "none"], [["", name, ""]]) if rest is None else _input(name, rest, done)
            identity = done[item.node][item.output].identity
            tokens += (key, "edge", identity)
            edges.append([item.node, item.output, identity])
            continue
        add = (key, item.kind, len(item.items)) if isinstance(item, Collect) else (key, "value", pack(item.data))
        tokens += add
        shape += add
        if isinstance(item, Collect):
            stack.extend(reversed(item.items))
    if len(edges) > MAX_EDGES:
        return tokens, [["", name, digest_of(tokens)]]
    return tokens, [*edges, ["", name, digest_of(shape)]]
