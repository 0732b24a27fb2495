"""Tokens, uploads and their errors. Apart from commands, no other package imports Azure's SDK."""
