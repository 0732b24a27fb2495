"""The code that handler and processor have in common: they share pipelines, and can be pickled with them."""
