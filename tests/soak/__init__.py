"""Long trials on the real job: planted faults, good but unusual batches. `make soak` runs all of them."""
