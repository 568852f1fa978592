"""The base of all packages: settings, errors, tenants, engines, sealing, the database session."""
