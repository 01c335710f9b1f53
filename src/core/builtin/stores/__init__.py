"""Artifact stores that ship with core: a folder of this machine, and anything that fsspec reaches."""
