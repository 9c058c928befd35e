"""``python -I -S …/overnight/supervisor {start,resume,adopt} READY_FD RUN_DIR``.

Also ``witness PIDFD RUN_DIR``, for a run that a program opened for itself (witness.py).
"""

import os
import sys

if __name__ == "__main__":
    # -I -S leave only the standard library; the package itself is three folders up.
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    from overnight.supervisor.loop import main

    sys.exit(main(sys.argv[1:]))
