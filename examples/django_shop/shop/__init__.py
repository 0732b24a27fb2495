"""A shop in Django that logs to Azure."""
