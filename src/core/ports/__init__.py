"""The abstract interfaces, one a file: what built-ins, plugins and doubles implement alike."""
