"""Templates for all that a handler needs in Azure, rendered from the very columns that it will send.

`Design` says what is wanted, in the words of Azure, and refuses what Azure would refuse. Each other module writes a
design down in one language. The same design always gives the same text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ..infra import arm, az, bicep, terraform
from .design import Design

__all__ = ["COMMANDS", "RENDERERS", "VALUES", "Design"]

RENDERERS: Mapping[str, Callable[[Design], str]] = {
    "bicep": bicep.render,
    "arm": arm.render,
    "terraform": terraform.render,
    "az": az.render,
}

# How each is put to use; FILE stands for where it was written.
COMMANDS: Mapping[str, str] = {
    "bicep": "az deployment group create --name logs --resource-group RESOURCE_GROUP --template-file FILE",
    "arm": "az deployment group create --name logs --resource-group RESOURCE_GROUP --template-file FILE",
    "terraform": "terraform init && terraform apply",
    "az": "bash FILE",
}
# How the three values are read once it is deployed.
VALUES: Mapping[str, str] = {
    "bicep": "az deployment group show --name logs --resource-group RESOURCE_GROUP --query properties.outputs",
    "arm": "az deployment group show --name logs --resource-group RESOURCE_GROUP --query properties.outputs",
    "terraform": "terraform output",
    "az": "",
}
