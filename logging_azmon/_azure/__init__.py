"""The only package that imports Azure's SDK: tokens, uploads and their errors."""
