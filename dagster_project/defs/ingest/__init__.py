"""Meter files of the inbox become readings."""
