"""Callbacks that put a framework's numbers, progress and endings into the run's ledger.

::

    from overnight.integrations.transformers import LedgerCallback  # Trainer(callbacks=[…])
    from overnight.integrations.lightning import LedgerCallback     # Trainer(callbacks=[…])
    from overnight.integrations.keras import LedgerCallback         # fit(callbacks=[…])
    from overnight.integrations.ultralytics import attach           # attach(YOLO(…))

Without a run (``overnight run``, ``overnight.init`` or ``overnight.watch``) they do nothing. None
of them ever raises into the training.
"""
