"""Tracking store and catalog in one SQLite file, through the standard library's driver."""
