"""The shop's views."""

import logging
from dataclasses import asdict

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.urls import path

from logging_azmon import AzureMonitorHandler

log = logging.getLogger("shop")


def order(_: HttpRequest, number: int) -> JsonResponse:
    """Show an order; numbers above 1000 do not exist yet."""
    if number > 1000:
        raise Http404
    log.info("order %d shown", number, extra={"order": number})
    return JsonResponse({"order": number})


def mine(request: HttpRequest) -> HttpResponse:
    """Answer by whether the user is logged in, which loads the user."""
    return HttpResponse(status=403 if request.user.is_authenticated else 401)


async def mine_too(request: HttpRequest) -> HttpResponse:
    """Do the same without blocking the event loop."""
    user = await request.auser()
    return HttpResponse(status=403 if user.is_authenticated else 401)


async def missing(_: HttpRequest) -> HttpResponse:
    """Find nothing, without loading the user."""
    raise Http404


def healthz(_: HttpRequest) -> JsonResponse:
    """Tell whether rows are delivered. The answer is 200 in any case: the shop works while its logs wait."""
    azure = next(handler for handler in logging.getLogger().handlers if isinstance(handler, AzureMonitorHandler))
    return JsonResponse(asdict(azure.health()))


def broken(_: HttpRequest) -> HttpResponse:
    """Raise an exception."""
    return HttpResponse(f"{1 / 0}")


urlpatterns = [
    path("orders/<int:number>", order),
    path("mine", mine),
    path("async/mine", mine_too),
    path("async/missing", missing),
    path("healthz", healthz),
    path("broken", broken),
]
