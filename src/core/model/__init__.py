"""The frozen values that cross a border; changed with `_replace`.

NamedTuples, because importing `dataclasses` and making classes with it costs 20 ms of a hello world's start.
"""
