"""What happened: the append-only record in a run's folder, as docs/ledger-format.md fixes it.

This package runs inside the user's job as well, on the job's own Python: standard library only,
Python 3.9 syntax.
"""
