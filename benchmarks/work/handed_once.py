"""The 200 MB pipeline once, for its peak memory: `handed_once.py SEED`."""

import sys

from handed import handed

handed(int(sys.argv[1]))
