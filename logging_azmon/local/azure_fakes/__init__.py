"""Answer for the other services that a client asks on its way: Microsoft Entra ID and Azure Resource Manager."""
