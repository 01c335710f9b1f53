"""Runs recorded as small immutable objects beside the artifacts: for who shares the store, without a server."""
