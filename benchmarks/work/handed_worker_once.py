"""The 200 MB pipeline in workers once, for its peak memory: `handed_worker_once.py SEED`."""

import sys

from handed_worker import handed

handed(int(sys.argv[1]))
