"""Send batches when they are due, act on the answers, and report trouble."""
