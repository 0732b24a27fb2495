"""Where rows wait, in memory, and how each of them is counted."""
