"""How handlers and processors find the pipeline that they give their rows to."""
