"""Take uploads as the Logs Ingestion API does, with its refusals, its quota and, on demand, its outages."""
