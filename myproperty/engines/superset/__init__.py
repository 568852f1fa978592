"""Apache Superset: its own Python environment, its state in a home, and its server on 127.0.0.1.

`configuration.py` and `inside.py` run inside that environment; the other modules run in the project's.
"""
