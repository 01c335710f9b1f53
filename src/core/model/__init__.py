"""The frozen values that cross a border; changed with `dataclasses.replace`."""
