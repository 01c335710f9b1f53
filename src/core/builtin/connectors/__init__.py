"""Service connectors that ship with core."""
