"""Installs integrations so that packages always agree: all is resolved, fetched and shown before anything changes."""
