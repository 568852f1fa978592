"""Access to PostgreSQL for all packages: sessions, binary COPY, UUIDs, retries."""
