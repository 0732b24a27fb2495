"""Speak HTTP on a loopback port: requests, responses, connections, TLS. Know nothing of what is answered."""
