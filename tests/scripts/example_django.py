"""Send requests to the Django example from two logged-in clients, one synchronous and one asynchronous."""

import asyncio
import logging

import django
from django.core.management import call_command
from django.test import AsyncClient, Client

django.setup()
call_command("migrate", verbosity=0)

from django.contrib.auth.models import User  # noqa: E402 - not before the set-up

user = User.objects.create_user("ada")
client, async_client = Client(), AsyncClient()
client.force_login(user)
async_client.force_login(user)

# The example does not send queries, whose values may be secrets; here they show whether a log call has made any.
logging.getLogger("django.db.backends").setLevel("DEBUG")
log = logging.getLogger("test")
log.info("begin")
assert client.get("/orders/2000?token=secret").status_code == 404
assert client.get("/mine").status_code == 403
health = client.get("/healthz")
assert (health.status_code, health.json()["status"]) == (200, "ok"), health.content


async def ask():
    assert (await async_client.get("/async/missing")).status_code == 404
    assert (await async_client.get("/async/mine")).status_code == 403


log.info("asynchronous")
asyncio.run(ask())
log.info("end")
