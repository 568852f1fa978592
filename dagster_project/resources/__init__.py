"""The resources of assets and checks."""
