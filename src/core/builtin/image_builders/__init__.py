"""Image builders: `registry` appends code in the registry, `docker` does all with an engine."""
