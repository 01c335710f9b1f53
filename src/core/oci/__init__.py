"""Speaks the OCI distribution API with any container registry: reads images, and appends layers with no engine."""
