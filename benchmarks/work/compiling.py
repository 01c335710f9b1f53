"""Compile a chain of COUNT calls in this process: CPU seconds and MB that it added; `compiling.py COUNT`."""

import json
import resource
import sys
import time

from chain import chain

chain.compile({"seed": 1, "count": 10})
count = int(sys.argv[1])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
began = time.process_time()
compiled = chain.compile({"seed": 1, "count": count})
seconds = time.process_time() - began
digest_began = time.process_time()
digest = compiled.graph.digest
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({"cpu": seconds, "digest": time.process_time() - digest_began, "mb": (after - before) * 1024 / 1e6}))
