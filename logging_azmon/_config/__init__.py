"""Check the arguments that users give, against the facts of Azure."""
