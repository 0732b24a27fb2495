"""Speak HTTP: requests, responses, connections, TLS, and the check of origins. The caller provides the application."""
