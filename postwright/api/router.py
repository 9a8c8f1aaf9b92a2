"""All routes of ``/v1`` in one router."""

from typing import Any

from fastapi import APIRouter

from postwright.api.batches import add_batch_routes
from postwright.api.bulks import add_bulk_routes
from postwright.api.callers import ApiServices, authenticated_route
from postwright.api.campaigns import add_campaign_routes
from postwright.api.checks import add_check_routes
from postwright.api.contact_fields import add_field_routes
from postwright.api.contacts import add_contact_routes
from postwright.api.description import PROBLEM_RESPONSES
from postwright.api.destinations import add_destination_routes
from postwright.api.domains import add_domain_routes
from postwright.api.edge import PREFIX
from postwright.api.experiments import add_experiment_routes
from postwright.api.forms import add_form_routes
from postwright.api.goals import add_goal_routes
from postwright.api.hygiene import add_hygiene_routes
from postwright.api.imports import add_import_routes
from postwright.api.keys import add_key_routes
from postwright.api.lists import add_list_routes
from postwright.api.messages import add_message_routes
from postwright.api.people import add_people_routes
from postwright.api.preflight import add_preflight_routes
from postwright.api.previews import add_preview_routes
from postwright.api.reports import add_report_routes
from postwright.api.segments import add_segment_routes
from postwright.api.sending import add_sending_routes
from postwright.api.statistics import add_statistic_routes
from postwright.api.suppressions import add_suppression_routes
from postwright.api.templates import add_template_routes
from postwright.api.warm_up import add_warm_up_routes
from postwright.api.webhooks import add_webhook_routes


def _add_all_sending(router: APIRouter) -> None:
    add_sending_routes(router)
    add_batch_routes(router)
    add_bulk_routes(router)


def _add_all_contacts(router: APIRouter) -> None:
    add_import_routes(router)
    add_list_routes(router)
    add_contact_routes(router)
    add_field_routes(router)


def _add_all_campaigns(router: APIRouter) -> None:
    add_campaign_routes(router)
    add_preflight_routes(router)


_ROOMS = {
    "domains": add_domain_routes,
    "checks": add_check_routes,
    "reports": add_report_routes,
    "contacts": _add_all_contacts,
    "segments": add_segment_routes,
    "forms": add_form_routes,
    "people": add_people_routes,
    "suppressions": add_suppression_routes,
    "hygiene": add_hygiene_routes,
    "templates": add_template_routes,
    "previews": add_preview_routes,
    "campaigns": _add_all_campaigns,
    "experiments": add_experiment_routes,
    "goals": add_goal_routes,
    "sending": _add_all_sending,
    "messages": add_message_routes,
    "api keys": add_key_routes,
    "destinations": add_destination_routes,
    "warm-up": add_warm_up_routes,
    "webhooks": add_webhook_routes,
    "statistics": add_statistic_routes,
}


def create_router(services: ApiServices) -> APIRouter:
    """The routes over ``services``; the app needs ``install_error_handlers`` too."""
    whole = APIRouter()
    for tag, add_routes in _ROOMS.items():
        router = APIRouter(
            prefix=PREFIX,
            route_class=authenticated_route(services),
            tags=[tag],
            responses=PROBLEM_RESPONSES,
            generate_unique_id_function=_operation_id,
        )
        add_routes(router)
        whole.include_router(router)
    return whole


def _operation_id(route: Any) -> str:
    return str(route.name)
