"""An Azure Function that delivers its rows before it returns, because its process may be removed afterwards."""

import functools
import logging
from collections.abc import Callable

import azure.functions as func

from logging_azmon import AzureMonitorHandler

azure = AzureMonitorHandler(credential="managed_identity")
# In addition to the host's own handler. dictConfig would remove that, and the function's log stream with it.
logging.getLogger().addHandler(azure)
log = logging.getLogger("shop")

Function = Callable[[func.HttpRequest], func.HttpResponse]


def delivered(function: Function) -> Function:
    """Flush at the end of each invocation, however it ends."""

    @functools.wraps(function)
    def invoke(req: func.HttpRequest) -> func.HttpResponse:
        try:
            return function(req)
        except Exception:
            log.exception("%s failed", function.__name__)
            raise
        finally:
            azure.flush(timeout=3)

    return invoke


app = func.FunctionApp()


@app.route(route="orders")
@delivered
def orders(req: func.HttpRequest) -> func.HttpResponse:
    """Take an order."""
    order = int(req.params["order"])
    log.warning("order %d came in", order, extra={"order": order})
    return func.HttpResponse("thank you", status_code=202)
