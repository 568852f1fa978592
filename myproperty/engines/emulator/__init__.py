"""The BigQuery emulator: its own Python environment, its server, and a client for it.

`launcher.py` runs inside that environment; the other modules run in the project's environment.
"""
