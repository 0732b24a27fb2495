"""Tokens, uploads and their errors: apart from commands, only this package imports Azure's SDK."""
