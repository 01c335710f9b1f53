"""Entry of a fresh nursery: `python -m core.pool SOCKET DRIVER`; nobody types it."""

import sys

from core.pool.fresh import main

if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
