"""A shop in Django whose log goes to Azure."""
