"""The assets and checks, one package a stage with the same file names in each."""
