"""Answer in place of the other services that clients need: Microsoft Entra ID and Azure Resource Manager."""
