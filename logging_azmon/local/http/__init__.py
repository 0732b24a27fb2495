"""Speak HTTP: requests, responses, connections, TLS, and whose requests are refused. The application is given."""
