"""The process that trains: ``python -m overnight.trainer RUN_DIR``."""
