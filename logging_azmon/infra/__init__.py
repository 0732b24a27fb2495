"""Render templates for everything that a handler needs in Azure, from exactly the columns that it sends.

`Design` describes the resources in Azure's terms and refuses what Azure would refuse; `naming` has the rules for names.
`operations` adds what watches the rows, and `queries` its KQL.
`arm`, `az`, `bicep` and `terraform` each render a design in one language. The same design always gives the same text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ..infra import arm, az, bicep, terraform
from .design import Design
from .operations import left_out

__all__ = ["COMMANDS", "OPERATED", "RENDERERS", "VALUES", "Design", "left_out"]

RENDERERS: Mapping[str, Callable[[Design], str]] = {
    "bicep": bicep.render,
    "arm": arm.render,
    "terraform": terraform.render,
    "az": az.render,
}

# The languages in which a design's diagnostic setting, alerts and workbook are rendered.
OPERATED = ("bicep", "arm")

# The command that deploys a template; FILE stands for the template's path.
COMMANDS: Mapping[str, str] = {
    "bicep": "az deployment group create --name logs --resource-group RESOURCE_GROUP --template-file FILE",
    "arm": "az deployment group create --name logs --resource-group RESOURCE_GROUP --template-file FILE",
    "terraform": "terraform init && terraform apply",
    "az": "bash FILE > azure.env && . ./azure.env",
}
# The command that prints the handler's three values after the deployment; the script for az prints them itself.
VALUES: Mapping[str, str] = {
    "bicep": "az deployment group show --name logs --resource-group RESOURCE_GROUP --query properties.outputs",
    "arm": "az deployment group show --name logs --resource-group RESOURCE_GROUP --query properties.outputs",
    "terraform": "terraform output",
    "az": "",
}
