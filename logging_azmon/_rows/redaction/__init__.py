"""Replace secrets and personal data in text and structures, before anything is encoded.

`redactor` applies what a handler's `redact=` asks for; `secrets` and `personal` are the two presets; `checksums` tells
numbers that only look like a card's or an account's from real ones.
"""
