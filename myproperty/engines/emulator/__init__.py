"""The BigQuery emulator: its own environment, its server, and a client for it.

`serve.py` runs inside that environment; everything else here runs in the project's.
"""
