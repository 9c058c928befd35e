"""How image data lie on a disk: one file for each word of ``data.format``."""
