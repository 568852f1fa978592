"""Reference yields: the energy that solar arrays would make under a clear sky."""
