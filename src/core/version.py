"""The version of core, of its wheel and of its images."""

VERSION = "0.1.0"
