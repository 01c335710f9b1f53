"""Every row of the budgets, by name, in the order of the table."""

from benchmarks.rows import again, array, bucket, capture, command, images, memory, shape, startup, steps, workers, writers

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
    "catalog": command.catalog,
    "listing": command.listing,
    "capture": capture.capture,
    "printed": capture.printed,
    "writers": writers.writers,
    "appends": writers.appends,
    "naps": workers.naps,
    "fanned": workers.fanned,
    "trips": workers.trips,
    "handed": workers.handed,
    "flight": again.flight,
    "resume": again.resume,
<<<<<<< HEAD
    "requests": bucket.requests,
    "sync": bucket.synced,
=======
    "change": images.change,
    "layer": images.layer,
    "containers": images.containers,
    "enter": images.enter,
>>>>>>> 4ca79d1 (Benchmarks: images: a changed line until it is pushed, files to a layer, a step in a container, from enter to the first step)
    "frames": shape.frames,
    "modules": shape.modules,
}
