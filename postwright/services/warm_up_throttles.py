"""Which mail that a warm-up had let out was kept from being tried by the provider itself, and by nothing else.

Only what shaping knows is evidence: a suspension that a reply brought about, or a rate that replies have lowered and
that was used up to the end. An idle worker, a pause, a campaign that ends or a person who suspends a queue leave none.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from sqlalchemy import Connection

from mailtypes.bounce import Blame, Stage
from mailtypes.clock import HOUR, MINUTE, SECOND, Microseconds
from mailtypes.smtp import SmtpReply
from mta.bounce import classify_reply
from postwright.store import warm_up_grants, warm_up_held_back
from postwright.store.warm_up_grants import LostGrant
from postwright.store.warm_up_held_back import StandingPace, Whose
from postwright.store.warm_ups import StoredWarmUp


def take_back(connection: Connection, now: Microseconds, *, limit: int = 2000) -> int:
    """Take back up to ``limit`` deliveries whose grant is over, those marked that a provider kept back; how many."""
    lost = warm_up_grants.lost(connection, now, limit=limit)
    return warm_up_grants.take_back(connection, now, stopped(connection, lost), limit=limit)


def stopped(connection: Connection, lost: Sequence[LostGrant]) -> list[LostGrant]:
    """Those of ``lost`` whose destination was held down from where they might leave, to the end of their hour."""
    if not lost:
        return []
    places = sorted({one.destination_id for one in lost})
    paces: dict[int, list[StandingPace]] = defaultdict(list)
    for pace in warm_up_held_back.standing_paces(connection, places):
        paces[pace.destination_id].append(pace)
    since = Microseconds(min(one.until for one in lost) - HOUR)
    by_people: dict[int, list[tuple[str, int | None]]] = defaultdict(list)
    for place, egress, until in warm_up_held_back.stopped_by_people(connection, places, since):
        by_people[place].append((egress, until))
    return [one for one in lost if _is_kept_back(one, paces[one.destination_id], by_people[one.destination_id])]


def _is_kept_back(lost: LostGrant, paces: Sequence[StandingPace], by_people: Sequence[tuple[str, int | None]]) -> bool:
    ends = Microseconds(lost.until)
    for egress, until in by_people:
        is_meant = not egress or lost.egress in ("", egress)
        if is_meant and (until is None or until > ends - HOUR):
            return False
    return any(holds_down(one, ends) for one in paces if lost.egress in ("", one.egress))


def holds_down(standing: StandingPace, ends: Microseconds) -> bool:
    """Whether a reply that is about us kept mail from leaving when its hour was over."""
    pace, rate = standing.pace, standing.pace.limits.rate
    if pace.troubled_at is None or pace.troubled_at >= ends or not _objects_to_us(pace.evidence):
        return False
    if pace.suspended_until is not None and pace.suspended_until >= ends:
        return True
    # Slots are taken by workers that send: where the last one lies long before the end, nobody wanted to.
    return rate is not None and standing.next_free_at >= ends - max(MINUTE, round(SECOND / rate))


def _objects_to_us(evidence: str) -> bool:
    code, _, words = evidence.partition(" ")
    if len(code) != 3 or not (code.isascii() and code.isdigit()):
        return False
    return classify_reply(SmtpReply.of(int(code), words), Stage.UNKNOWN).blames == Blame.SENDER


def kept_back(
    connection: Connection, warm_up: StoredWarmUp, span: tuple[Microseconds, Microseconds]
) -> Mapping[str, int]:
    """By provider, how many of a warm-up's mails wait untried that it kept back in ``span`` to the end of an hour."""
    kind, _, name = warm_up.subject.partition(":")
    whose = Whose(domain_id=int(name)) if kind == "domain" else Whose(egress=name)
    return warm_up_held_back.marked_by_provider(connection, whose, span)
