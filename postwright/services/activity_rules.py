"""Rules that follow contacts' activity: repeated soft bounces suppress, and tags tell who reads and who does not."""

from collections.abc import Sequence
from functools import partial
from typing import Any, Final

from sqlalchemy import Connection

from hygiene.bounce_policy import BounceAction, SoftBounceHistory, SoftBouncePolicy, decide
from hygiene.dormancy import Engagement, low_engagement
from hygiene.pruning import LOW_ENGAGEMENT_TAG
from hygiene.segments.facts import Known
from mailtypes.clock import DAY, Clock, Microseconds
from postwright.services.hygiene_schedule import settings_of
from postwright.store import activity_rules, contact_facts, suppressions, workspaces
from postwright.store.activity_rules import ActiveContact, Stretch
from postwright.store.database import Database
from postwright.store.suppressions import NewSuppression, Scope, SuppressionReason

OPENED_LAST_THREE: Final = "opened_last_three"
TAGS: Final = (LOW_ENGAGEMENT_TAG, OPENED_LAST_THREE)
_BATCH = 500  # events of one transaction
_MOST_BATCHES = 40  # in one step, so that the scheduler's other work is not kept waiting
_ACTIVE_DAYS = 90
"""Whoever opened, clicked or bought so lately counts as active where soft bounces are counted."""
_LONGEST_HISTORY = 64


class ActivityRules:
    """The step that the scheduler takes behind the roll-up of contacts' activity."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def step(self) -> int:
        """Look at whom something happened to since the last time; returns how many suppressions and tags changed."""
        done = 0
        for workspace in await self._database.read(workspaces.list_workspaces):
            for _ in range(_MOST_BATCHES):
                stretch = await self._database.read(
                    partial(activity_rules.next_stretch, workspace_id=workspace.id, limit=_BATCH)
                )
                if stretch is None:
                    break
                done += await self._database.write(partial(self._apply, workspace_id=workspace.id, stretch=stretch))
                if stretch.is_last:
                    break
        return done

    def _apply(self, connection: Connection, workspace_id: int, stretch: Stretch) -> int:
        if not activity_rules.move_mark(connection, workspace_id, stretch):
            return 0
        now, settings = self._clock.now(), settings_of(connection, workspace_id)
        found = activity_rules.contacts_with_activity(connection, workspace_id, stretch.contact_ids, TAGS)
        wanted = _to_suppress(found, stretch, settings.bounce_policy, now)
        done = suppressions.suppress(connection, workspace_id, wanted, now)
        return done + (_set_tags(connection, workspace_id, found, now) if settings.sets_tags else 0)


def _to_suppress(
    found: Sequence[ActiveContact], stretch: Stretch, policy: SoftBouncePolicy, now: Microseconds
) -> list[NewSuppression]:
    wanted = []
    for contact in found:
        event_id = stretch.soft_bounces.get(contact.id)
        if event_id is None:
            continue
        decision = decide(history_of(contact.activity), policy, is_active=_is_active(contact.activity, now))
        if decision.action is BounceAction.SUPPRESS:
            reason = SuppressionReason.SOFT_BOUNCES
            wanted.append(
                NewSuppression(
                    contact.address, contact.address_key, Scope.ALL, 0, reason, event_id, note=decision.cause
                )
            )
    return wanted


def history_of(activity: Any) -> SoftBounceHistory:
    """The soft bounces of a row of the roll-up, which keeps their number, the first and the last."""
    number = min(int(activity["soft_bounces"]), _LONGEST_HISTORY)
    first, last = activity["first_soft_bounce_at"], activity["last_soft_bounce_at"]
    if number == 0 or first is None or last is None:
        return SoftBounceHistory()
    return SoftBounceHistory((Microseconds(first),) * (number - 1) + (Microseconds(last),))


def _is_active(activity: Any, now: Microseconds) -> bool:
    signs = (activity[f"last_{kind}_at"] for kind in ("opened", "clicked", "acted"))
    return any(sign is not None and sign >= now - _ACTIVE_DAYS * DAY for sign in signs)


def _set_tags(connection: Connection, workspace_id: int, found: Sequence[ActiveContact], now: Microseconds) -> int:
    done = 0
    for name in TAGS:
        due = {one.id for one in found if _deserves(name, one)}
        missing = sorted(one.id for one in found if one.id in due and name not in one.tags)
        wrong = sorted(one.id for one in found if one.id not in due and name in one.tags)
        if missing or wrong:
            tag_id = contact_facts.ensure_tag(connection, workspace_id, name, now)
            contact_facts.tag_contacts(connection, workspace_id, tag_id, missing, now)
            contact_facts.untag_contacts(connection, workspace_id, tag_id, wrong)
            done += len(missing) + len(wrong)
    return done


def _deserves(name: str, contact: ActiveContact) -> bool:
    known = contact.activity
    if name == OPENED_LAST_THREE:
        return int(known["opened_in_a_row"]) >= 3
    if contact.known is not Known.ALL:
        return False  # what is not known of somebody is not held against them
    engagement = Engagement(
        Microseconds(contact.created_at),
        received_since_opened=int(known["received_since_opened"]),
        received_since_clicked=int(known["received_since_clicked"]),
    )
    return low_engagement(engagement)
