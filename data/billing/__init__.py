"""From readings to money: solar shared out, allocations kept, invoices made, the ledger balanced.

Nothing here reads files or writes readings.
"""
