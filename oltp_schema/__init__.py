"""The OLTP schema: roles, migrations and the way to apply them. No reading or writing of rows here."""
