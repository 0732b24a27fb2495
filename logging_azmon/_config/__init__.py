"""Configuration: the arguments that users give, checked, and the facts of Azure that the checks rest on."""
