"""What a program asks for itself, without ``overnight run``: to be watched, and to tell something.

It runs inside the job, so nothing here raises into it, waits for a network, or ends it; Python 3.9
syntax, since under ``overnight run`` the job may have an older Python than ours.
"""
