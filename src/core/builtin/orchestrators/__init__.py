"""Orchestrators that ship with core."""
