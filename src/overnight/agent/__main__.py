"""``python -I …/overnight/agent [--stay | courier CHANNEL | ping]``."""

import os
import sys

if __name__ == "__main__":
    # -I leaves out the folders of the person's; the package itself is two folders up.
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    from overnight.agent.loop import main

    sys.exit(main(sys.argv[1:]))
