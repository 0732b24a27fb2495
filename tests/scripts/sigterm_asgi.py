"""An ASGI application that calls `exit_on_sigterm` when uvicorn is running already, because uvicorn imports it then."""

import logging

from logging_azmon import AzureMonitorHandler, exit_on_sigterm

handles = exit_on_sigterm()
# The first row is sent at once, the others wait for the end.
azure = AzureMonitorHandler(batch_seconds=3600, close_seconds=40)
for name in ("app", "uvicorn.error"):
    logging.getLogger(name).setLevel("INFO")
    logging.getLogger(name).addHandler(azure)
log = logging.getLogger("app")
log.info("handled: %s", handles)


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while (message := await receive())["type"] != "lifespan.shutdown":
            await send({"type": f"{message['type']}.complete"})
        log.info("shutting down")
        await send({"type": "lifespan.shutdown.complete"})
        return
    log.info("request %s", scope["path"])
    azure.flush()
    log.info("request %s answered", scope["path"])
    await send({"type": "http.response.start", "status": 200, "headers": [(b"connection", b"close")]})
    await send({"type": "http.response.body", "body": b"logged"})
