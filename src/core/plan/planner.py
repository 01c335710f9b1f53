"""Decides for each node whether it runs or an earlier result is reused, and says why."""

from __future__ import annotations

import json

from core.digest.code import fingerprint
from core.model.graph import edges_of
from core.model.plan import Action, Decision, Plan
from core.plan.key import node_key, own_fingerprint, step_key
from core.plan.reasons import ago, differences, join, unchanged

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from core.digest.code import CodeFingerprint
    from core.model.artifact import ArtifactRef
    from core.model.graph import Graph, Node
    from core.model.plan import CachedResult
    from core.model.spec import StepSpec
    from core.plan.key import StepKey
    from core.ports.tracking_store import LatestAttempt, TrackingStore


class Planner:
    """Plans one graph. `specs` has the step of each node by node id.

    `no_cache=True` reuses nothing; a set of node ids and step names reuses nothing of those. `now` is in seconds since
    1970. Code and constants are read once, when a node of the step is decided for the first time.
    """

    def __init__(
        self,
        graph: Graph,
        specs: Mapping[str, StepSpec],
        tracking: TrackingStore,
        *,
        project: str,
        no_cache: bool | frozenset[str],
        now: float,
    ) -> None:
        self.graph = graph
        self.specs = specs
        self.tracking = tracking
        self.project = project
        self.no_cache = no_cache
        self.now = now
        self._keys: dict[int, StepKey] = {}  # by id of a spec, which `specs` keeps alive
        self._codes: dict[int, CodeFingerprint] = {}  # by id of a function, which its spec keeps alive
        self._documents: dict[str, str] = {}
        self._latest: dict[str, LatestAttempt | None] = {}  # asked before anything ran, so the run itself is not in it

    def decide(self, node: Node, done: Mapping[str, Mapping[str, ArtifactRef]]) -> Decision:
        """What `node` does now that the outputs of every node before it are `done`: `RUN` or `REUSE`."""
        spec = self._spec(node)
        step = self._step_key(spec)
        key, found = node_key(step, node, done)
        forced = self._forced(node, spec)
        if forced:
            return Decision(Action.RUN, forced, key, found)
        cached = self.tracking.cached((key,), self.project).get(key)
        if cached is None:
            reason = self._changes(node, step, found) or "no earlier result is kept"
            return Decision(Action.RUN, reason, key, found)
        expired = self._expired(spec, cached)
        if expired:
            return Decision(Action.RUN, expired, key, found)
        age = ago(self.now - cached.at)
        reason = f"same code, parameters and inputs as run {cached.run[-8:]} ({age} ago)"
        return Decision(Action.REUSE, reason, key, found, cached)

    def may_reuse(self, node: Node) -> bool:
        """Whether an earlier result of `node` may be looked for at all."""
        return not self._forced(node, self._spec(node))

    def look_again(self, node: Node, decision: Decision, *, fresh: bool) -> Decision:
        """`decision`, unless another run has recorded a result with its key since; `fresh` after waiting for one."""
        cached = self.tracking.cached((decision.key,), self.project, fresh=fresh).get(decision.key)
        if cached is None or self._expired(self._spec(node), cached):
            return decision
        reason = f"same code, parameters and inputs as run {cached.run[-8:]}, which ended meanwhile"
        return decision._replace(action=Action.REUSE, reason=reason, cached=cached)

    def plan(self, stack: str = "") -> Plan:
        """A decision for every node as far as it can be made before anything ran, in one pass.

        A node that takes the output of one that runs is `MAYBE`, unless it runs in any case; so is one that hangs on a
        condition, or that stands for as many calls as there will be items.
        """
        decisions: dict[str, Decision] = {}
        done: dict[str, Mapping[str, ArtifactRef]] = {}
        skippable: set[str] = set()
        for node in self.graph.nodes:
            waits = _waits(node, done)
            lacks = _lacks(node, skippable)
            if node.each or node.when is not None:
                decision = self._leave_open(node)
            elif lacks:
                decision = Decision(Action.MAYBE, f"depends on {lacks}, which may be skipped")
            else:
                decision = self._foresee(node, waits, decisions[waits]) if waits else self.decide(node, done)
            if decision.cached is not None:
                done[node.id] = decision.cached.outputs
            decisions[node.id] = decision
        return Plan(self.graph, decisions, stack)

    def documents(self) -> Mapping[str, str]:
        """The code documents, text by digest, that decisions refer to and that were not given out before.

        A document is a JSON object of `CodeFingerprint.parts`; its digest is the fingerprint's, which leaves out the
        places. Store each: later plans read from them which function changed.
        """
        fresh, self._documents = self._documents, {}
        return fresh

    def _spec(self, node: Node) -> StepSpec:
        return self.specs[node.template or node.id]

    def _step_key(self, spec: StepSpec) -> StepKey:
        known = self._keys.get(id(spec))
        if known is None:
            function = spec.function
            code = self._codes.get(id(function))
            if code is None:
                code = self._codes[id(function)] = fingerprint(function)
                self._documents[code.digest] = json.dumps(code.parts, separators=(",", ":"))
            known = self._keys[id(spec)] = step_key(spec, code)
        return known

    def _forced(self, node: Node, spec: StepSpec) -> str:
        """Why no earlier result may be looked for; empty when one may."""
        if not spec.options.cache:
            return "cache=False"
        chosen = self.no_cache
        names = (node.id, node.template, spec.name, spec.options.name)
        if chosen is True or (chosen and not chosen.isdisjoint(names)):
            return "--no-cache"
        return ""

    def _expired(self, spec: StepSpec, cached: CachedResult) -> str:
        seconds = spec.options.cache_expires
        if seconds is None or cached.at + seconds > self.now:
            return ""
        return f"expired {ago(self.now - cached.at - seconds)} ago (cache_expires)"

    def _changes(self, node: Node, step: StepKey, found: Mapping[str, Any]) -> str:
        """What differs from the newest attempt of this node; empty when nothing does."""
        if node.id not in self._latest:
            self._latest[node.id] = self.tracking.latest(self.graph.pipeline, node.id, self.project)
        latest = self._latest[node.id]
        if latest is None:
            return "never ran"
        if "inputs" not in found and unchanged(latest.fingerprint, found):
            return ""
        return join(differences(latest.fingerprint, found, step.code, node.step, self.tracking.document))

    def _leave_open(self, node: Node) -> Decision:
        """The decision for a node that may be many or none."""
        forced = self._forced(node, self._spec(node))
        said = [f"{forced}; "] if forced else []
        if node.when is not None:
            said.append(f"only if {node.when.node} gives True; ")
        if node.each:
            walked = (edge.node for name in node.each if name in node.inputs for edge in edges_of(node.inputs[name]))
            sources = " and ".join(dict.fromkeys(walked))
            said.append(f"maps over {sources}, whose length is known when it runs; ")
        return Decision(Action.MAYBE, "".join(said).removesuffix("; "))

    def _foresee(self, node: Node, waits: str, before: Decision) -> Decision:
        """The decision for a node that takes what the node `waits` has not given yet; inputs and key stay open."""
        spec = self._spec(node)
        reason = self._forced(node, spec)
        if not reason:
            step = self._step_key(spec)
            reason = self._changes(node, step, own_fingerprint(step, node))
        if reason:
            return Decision(Action.RUN, reason)
        verb = "runs" if before.action is Action.RUN else "may run"
        return Decision(Action.MAYBE, f"depends on {waits}, which {verb}")


def _lacks(node: Node, skippable: set[str]) -> str:
    """Why `node` may be skipped on purpose: a node before it, which may, or itself; empty when it can't be."""
    lacks = ""
    if skippable:
        from core.model.expand import lacking  # start-up time: few graphs have conditions

        lacks = lacking(node, skippable)
    if lacks or node.when is not None:
        skippable.add(node.id)
    return lacks


def _waits(node: Node, done: Mapping[str, object]) -> str:
    """The first node whose output `node` takes and that is not `done`; empty when there is none."""
    for binding in node.inputs.values():
        for edge in edges_of(binding):
            if edge.node not in done:
                return edge.node
    return ""
