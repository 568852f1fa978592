"""PostgreSQL as every layer uses it: sessions, binary COPY, UUIDs."""
