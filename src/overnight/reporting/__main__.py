"""``python -I …/overnight/reporting RUN_DIR``: the page of a run that has just ended.

A child of the run's supervisor, which waits for it and ends it where it takes too long. What goes
wrong is a line on stderr, which is the run's ``supervisor.log``.
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    # -I leaves out what lies in the folder it is started in; the package is three folders up.
    sys.path[0] = str(Path(__file__).resolve().parents[2])
    from overnight.reporting.process import main

    sys.exit(main(sys.argv[1]))
