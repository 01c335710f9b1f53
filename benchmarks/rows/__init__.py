"""Every row of the budgets, by name, in the order of the table."""

from benchmarks.rows import array, capture, command, memory, shape, startup, steps, writers

ROWS = {
    "import": startup.imported,
    "hello": startup.hello,
    "chain": startup.chain,
    "cached": startup.cached,
    "step": steps.step,
    "compile": steps.compiled,
    "noop": steps.noop,
    "wide": steps.wide,
    "array": array.array,
    "memory": memory.memory,
    "command": command.command,
    "listing": command.listing,
    "capture": capture.capture,
    "writers": writers.writers,
    "frames": shape.frames,
    "modules": shape.modules,
}
