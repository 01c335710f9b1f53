"""The step calls of a pipeline function while it is called once."""

from __future__ import annotations

from core.compile.bind import Shape, bind_rest, binding_of, gathered, missing, wrong_edge
from core.compile.options import plain_options
from core.conform import accepts
from core.errors import CompileError
from core.model.graph import WHEN, Edge, Node
from core.model.ref import Fields, Ref
from core.model.spec import MISSING
from core.names import name_of
from core.signature import read_signature
from core.text import closest
from core.values import to_plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from typing import Any

    from core.define import Step
    from core.model.graph import Binding
    from core.model.spec import Signature, StepSpec

_FLAT = frozenset({int, str, float, bool, type(None), bytes})


class Recording:
    """Stands in `core.context.compiling`; steps and inner pipelines that are called meanwhile come here."""

    def __init__(self, pipeline: str, overrides: Mapping[str, Mapping[str, Any]]) -> None:
        self.pipeline = pipeline
        self._overrides = overrides
        self.nodes: list[Node] = []
        self.specs: dict[str, StepSpec] = {}
        self._shapes: dict[int, Shape] = {}
        self._counts: dict[str, int] = {}
        self._alive: list[Step[Any, Any]] = []
        self._active: list[Callable[..., Any]] = []
        self._left_out: set[str] = set()
        self._walked: dict[str, dict[str, int]] = {}
        self._templates: list[str] = []

    def inline(self, name: str, function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Call a pipeline function, the outer one or one that it calls; raises `CompileError` when it calls itself."""
        if function in self._active:
            chain = " -> ".join([*(active.__name__ for active in self._active), function.__name__])
            raise CompileError(
                f"pipeline {name!r} calls itself: {chain}", "a pipeline is a graph without cycles; loop in a step"
            )
        self._active.append(function)
        try:
            return function(*args, **kwargs)
        finally:
            self._active.pop()

    def call(self, step: Step[Any, Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], node_id: str = "") -> Any:
        """Record one call of `step`; gives what the call returns: references in the shape of the step's outputs."""
        shape = self._shapes.get(id(step)) or self._shape(step)
        if not node_id:
            node_id = self._free_id(shape)
        given = dict(zip(shape.positional, args, strict=False)) if args else {}
        if len(args) > len(shape.positional) or kwargs or shape.variadic != ("", ""):
            bind_rest(shape, given, args, kwargs)
        inputs, parameters = _arguments(shape, given, node_id)
        when: Edge | None = None
        optional: tuple[str, ...] = ()
        if shape.when is not None:
            when = shape.when.edge
            if type(shape.when) is not Ref:
                raise CompileError(
                    f"the condition of step {node_id!r}, {shape.when!r}, is one for each item, but it is called once",
                    "use `.map()` over the same list",
                )
        if when is not None or self._left_out:
            optional = self._optional(shape, node_id, inputs, when)
        node = Node(node_id, shape.step.spec.id, inputs, parameters, shape.outputs, shape.after, shape.options)
        self.nodes.append(node if when is None and not optional else node._replace(when=when, optional=optional))
        self.specs[node_id] = shape.step.spec
        return _references(shape.signature, node_id)

    def map(self, step: Step[Any, Any], iterables: tuple[Any, ...], constants: Mapping[str, Any]) -> Any:
        """Record one call of `step` for each item of the iterables, walked side by side.

        Where one of them is an output, the length is not known: one node stands for all calls.
        """
        shape = self._shapes.get(id(step)) or self._shape(step)
        if any(isinstance(iterable, Ref) or _is_many(iterable) for iterable in iterables):
            return self._template(shape, iterables, constants)
        lists = [list(iterable) for iterable in iterables]
        if len({len(items) for items in lists}) != 1:
            raise CompileError(
                f"{step.spec.name}.map() walks lists of different lengths: {[len(items) for items in lists]}",
                "give at least one list, and all of one length",
            )
        base = self._free_id(shape)
        return [
            self.call(step, items, constants, f"{base}[{index}]")
            for index, items in enumerate(zip(*lists, strict=True))
        ]

    def _template(self, shape: Shape, iterables: tuple[Any, ...], constants: Mapping[str, Any]) -> Any:
        from core.compile.mapping import conditional, many_references, walk  # start-up time: few pipelines need it

        node_id = self._free_id(shape)
        walked = walk(shape, iterables, node_id)
        when = conditional(shape.when, walked, node_id)
        given: dict[str, Any] = dict.fromkeys((*walked.inputs, *walked.parameters))
        given.pop(WHEN, None)
        names = tuple(given)
        bind_rest(shape, given, (), constants)
        inputs, parameters = _arguments(shape, given, node_id, names)
        inputs |= walked.inputs
        node = Node(
            id=node_id,
            step=shape.step.spec.id,
            inputs=inputs,
            parameters=parameters | walked.parameters,
            outputs=shape.outputs,
            after=shape.after,
            options=shape.options,
            each=(*walked.inputs, *walked.parameters),
            depth=walked.depth,
            when=when,
        )
        for edge, depth in walked.marks:
            outputs = self._walked.setdefault(edge.node, {})
            outputs[edge.output] = max(depth, outputs.get(edge.output, 0))
        if shape.when is not None or self._left_out:
            node = node._replace(optional=self._optional(shape, node_id, inputs, shape.when, node.each))
        self._templates.append(node_id)
        self.nodes.append(node)
        self.specs[node_id] = shape.step.spec
        return many_references(shape.signature, node_id, walked.depth)

    def _optional(
        self, shape: Shape, node_id: str, inputs: Mapping[str, Binding], when: object, each: Iterable[str] = ()
    ) -> tuple[str, ...]:
        """Inputs that may be None because something before was skipped on purpose."""
        from core.compile.mapping import optional_inputs  # start-up time: few pipelines have conditions

        optional, itself = optional_inputs(inputs, shape.inputs, each, self._left_out)
        if itself or when is not None:
            self._left_out.add(node_id)
        return optional

    def finished(self) -> tuple[Node, ...]:
        """Every node, with what became known of it after it was recorded."""
        if self._templates:
            from core.compile.mapping import check_ids  # start-up time: few pipelines need it

            check_ids(self._templates, self.specs)
        if not self._walked:
            return tuple(self.nodes)
        walked = self._walked
        return tuple(node._replace(walked=walked[node.id]) if node.id in walked else node for node in self.nodes)

    def check_names(self, named: Iterable[str]) -> None:
        """Raise `CompileError` when options were given for, or `named` has, a step that was never called."""
        called = {shape.step.spec.options.name or shape.step.spec.name for shape in self._shapes.values()}
        for name in (*self._overrides, *named):
            if name not in called and name not in self.specs:
                hint = f"its steps are {', '.join(sorted(called))}"
                raise CompileError(f"pipeline {self.pipeline!r} has no step {name!r}{closest(name, called)}", hint)

    def _free_id(self, shape: Shape) -> str:
        base = shape.step.spec.options.name or shape.step.spec.name
        count = self._counts.get(base, 0) + 1
        self._counts[base] = count
        node_id = base if count == 1 else f"{base}_{count}"
        if count == 1 and node_id not in self.specs:
            return node_id
        if shape.step.spec.options.name and self.specs.get(base, shape.step.spec) is not shape.step.spec:
            raise CompileError(
                f"two steps of pipeline {self.pipeline!r} are called {base!r}", "give each another name="
            )
        while node_id in self.specs:
            count += 1
            node_id = f"{base}_{count}"
        self._counts[base] = count
        return node_id

    def _shape(self, step: Step[Any, Any]) -> Shape:
        original = step
        override = self._overrides.get(step.spec.options.name or step.spec.name)
        if override:
            step = step.with_options(**override)
        signature = read_signature(step.spec.function)
        inputs = {spec.name: gathered(spec) for spec in signature.inputs}
        plain = [spec for spec in signature.inputs if not spec.variadic]
        star, stars = ("".join(s.name for s in signature.inputs if s.variadic == kind) for kind in ("*", "**"))
        defaults = {
            spec.name: to_plain(
                spec.default, spec.annotation, f"default of parameter {spec.name!r} of step {step.spec.name!r}"
            )
            for spec in plain
            if spec.default is not MISSING
        }
        shape = Shape(
            step,
            signature,
            inputs,
            tuple(spec.name for spec in plain if not spec.keyword_only),
            (star, stars),
            tuple(spec.name for spec in plain if spec.default is MISSING),
            defaults,
            tuple(output.name for output in signature.outputs),
            plain_options(step.spec.options),
            tuple(dict.fromkeys(edge.node for edge in _waits(step.after, step.spec.name))),
            None if step.when is None else _condition(step),
        )
        self._shapes[id(original)] = shape
        self._alive.append(original)  # so that its id stays its own
        return shape


def _arguments(
    shape: Shape, given: Mapping[str, Any], node_id: str, walked: tuple[str, ...] = ()
) -> tuple[dict[str, Binding], dict[str, Any]]:
    """Inputs and parameters of a call that was `given` these values, checked; what is `walked` is left out."""
    parameters = dict(shape.defaults)
    inputs: dict[str, Binding] = {}
    for name, value in given.items():
        if name in walked:
            parameters.pop(name, None)
            continue
        spec = shape.inputs[name]
        if type(value) is Ref:
            if not accepts(spec.annotation, value.annotation):
                raise wrong_edge(value, node_id, spec, value.annotation)
            inputs[name] = value.edge
        elif type(value) in _FLAT or (found := binding_of(value, spec, node_id)) is None:
            parameters[name] = to_plain(value, spec.annotation, f"parameter {name!r} of step {node_id!r}")
            continue
        else:
            inputs[name] = found
        parameters.pop(name, None)
    for name in shape.required:
        if name not in given:
            raise missing(shape, name)
    return inputs, parameters


def _is_many(value: Any) -> bool:
    """Whether it is what a mapped step with several outputs gives."""
    return isinstance(value, Fields) and type(value) is not Fields


def _condition(step: Step[Any, Any]) -> Ref | None:
    from core.compile.mapping import condition  # start-up time: few pipelines have conditions

    return condition(step.when, step.spec.name)


def _references(signature: Signature, node_id: str) -> Any:
    if signature.shape == "single":
        output = signature.outputs[0]
        return Ref(Edge(node_id, output.name), output.annotation)
    refs = {output.name: Ref(Edge(node_id, output.name), output.annotation) for output in signature.outputs}
    if signature.shape == "tuple":
        return tuple(refs.values())
    if signature.shape == "fields" and signature.container is not None:
        return Fields(signature.container, name_of(signature.container), refs)
    return Ref(Edge(node_id, ""), type(None))  # nothing to hand on, but `after=` can wait for it


def _waits(after: Iterable[Any], name: str) -> Iterator[Edge]:
    stack = list(after)
    while stack:
        item = stack.pop(0)
        if isinstance(item, Ref):
            yield item.edge
        elif isinstance(item, Fields):
            yield from (edge for _, edge in item.binding.items if isinstance(edge, Edge))
        elif isinstance(item, list | tuple):
            stack.extend(item)
        else:
            raise CompileError(
                f"after={item!r} of step {name!r} is not what a step call returned", "pass `x` of `x = a_step()`"
            )
