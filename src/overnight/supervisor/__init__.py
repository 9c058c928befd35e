"""The logic of one run: start it, watch it, stop it, say why it ended. Standard library only.

``python -I -S …/overnight/supervisor RUN_DIR`` is the process; ``detach`` starts it.
"""
