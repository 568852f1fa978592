"""The rules of the gates.

One module a table at gates A and D, in the package of the stage. At gates B and C every table has the same
rules, made from the description of its entity (`equality`).
"""
