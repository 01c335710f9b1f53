"""The frozen values that cross a border; changed with `_replace`; NamedTuples, because dataclasses would double the time that a hello world takes."""
