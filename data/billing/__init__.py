"""From readings to money: share solar, keep allocations, draft invoices, book them in the ledger.

Nothing here reads files or writes readings.
"""
