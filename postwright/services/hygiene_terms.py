"""What a hygiene plan is made by, and how a workspace keeps its lists clean; as dataclasses and as JSON."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from hygiene.bounce_policy import SEVEN_IN_A_ROW, SOFT_BOUNCE_PRESETS, SoftBouncePolicy
from hygiene.dormancy import PRESETS, QUIET_FOR_A_YEAR, DormancyRule, Protection, Rhythm
from hygiene.pruning import Move, PruningPolicy
from hygiene.pruning_schedule import PruningSchedule
from hygiene.reengagement import ReengagementPolicy
from hygiene.segments.describe import meaning
from hygiene.segments.document import as_document
from hygiene.segments.parse import parse
from hygiene.segments.tree import Node
from mailtypes.saying import say
from postwright.services.errors import RefusedError

_MOST_TAGS: Final = 50
_ON_LIST: Final = "Everybody on "
_PRESET_WORDS: Final[Mapping[str, str]] = {
    "quiet_for_a_year": say("quiet for a year"),
    "quiet_for_a_quarter": say("quiet for a quarter"),
    Rhythm.DAILY: say("daily"),
    Rhythm.MID: say("mid"),
    Rhythm.WEEKLY: say("weekly"),
    Rhythm.MONTHLY: say("monthly"),
}
REMOVALS: Final = (Move.ARCHIVE, Move.SUPPRESS)


@dataclass(frozen=True, slots=True)
class PlanTerms:
    """Who is dormant (``preset``, or a segment's ``tree`` instead), who is protected, and what is done with them.

    ``rhythm`` fits the preset to how often the list is written to. ``ask_first``: two or three mails before anybody is
    removed; without it they are removed at once, which is for those who were asked elsewhere.
    """

    preset: str = QUIET_FOR_A_YEAR.name
    tree: Node | None = None
    rhythm: Rhythm | None = None
    removal: Move = Move.ARCHIVE
    ask_first: bool = True
    reengagement: ReengagementPolicy = field(default_factory=ReengagementPolicy)
    protect_tags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.preset not in PRESETS:
            raise _refused(
                "preset",
                say("There is no rule '%(preset)s'.", preset=self.preset[:60]),
                say("Take one of %(known)s.", known=", ".join(PRESETS)),
            )
        if self.removal not in REMOVALS:
            raise _refused(
                "removal", say("'%(removal)s' removes nobody.", removal=self.removal), say("Take archive or suppress.")
            )
        if len(self.protect_tags) > _MOST_TAGS:
            raise _refused(
                "protect_tags",
                say("There are too many tags."),
                say("Give at most %(most_tags)s.", most_tags=_MOST_TAGS),
            )

    @property
    def policy(self) -> PruningPolicy:
        """As the pure rules take it."""
        return PruningPolicy(removal=self.removal, reengagement=self.reengagement)

    @property
    def rule(self) -> DormancyRule:
        """The preset's rule with these protections; a rhythm is not in it yet."""
        preset = PRESETS[self.preset]
        protection = Protection(preset.protection.new_days, preset.protection.acted_days, frozenset(self.protect_tags))
        return DormancyRule(
            preset.name,
            preset.no_open_days,
            preset.no_click_days,
            preset.mails_unclicked,
            preset.no_action_days,
            preset.least_received,
            protection,
        )

    @property
    def sentence(self) -> str:
        """Whom it is about and what happens to them."""
        who = (
            meaning(self.tree)
            if self.tree is not None
            else _PRESET_WORDS.get(self.preset, self.preset.replace("_", " "))
        )
        end = say("archived") if self.removal is Move.ARCHIVE else say("suppressed")
        mails = self.reengagement.mails
        what = say("asked by %(mails)s mails, then %(end)s", mails=mails, end=end) if self.ask_first else end
        return say("%(who)s, %(what)s", who=who, what=what)

    def written(self) -> str:
        """As JSON."""
        return json.dumps(
            {
                "preset": self.preset,
                "tree": None if self.tree is None else as_document(self.tree),
                "rhythm": self.rhythm,
                "removal": str(self.removal),
                "ask_first": self.ask_first,
                "mails": self.reengagement.mails,
                "apart_days": self.reengagement.apart.days,
                "patience_days": self.reengagement.patience.days,
                "protect_tags": list(self.protect_tags),
            },
            ensure_ascii=False,
        )

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> "PlanTerms":
        """From JSON, or from what a person or a client asked for; raises what its parts raise."""
        usual = ReengagementPolicy()
        tree = document.get("tree")
        return cls(
            str(document.get("preset") or QUIET_FOR_A_YEAR.name),
            None if tree is None else parse(tree),
            _word(Rhythm, document.get("rhythm"), "rhythm"),
            _word(Move, document.get("removal"), "removal") or Move.ARCHIVE,
            bool(document.get("ask_first", True)),
            ReengagementPolicy(
                int(document.get("mails") or usual.mails),
                timedelta(days=int(document.get("apart_days") or usual.apart.days)),
                timedelta(days=int(document.get("patience_days") or usual.patience.days)),
            ),
            tuple(sorted({str(one) for one in document.get("protect_tags") or ()})),
        )


def plan_sentence(list_name: str | None, terms: PlanTerms) -> str:
    """What a plan is about: whose contacts, who of them, and what happens to those."""
    whom = say("Everybody on %(list_name)s", list_name=list_name) if list_name else say("Everybody")
    return say("%(whom)s: %(terms)s", whom=whom, terms=terms.sentence)


def told_again(sentence: str, written: str) -> str:
    """The sentence of a stored plan, made anew of its terms; as it was stored where they say something else now."""
    return _made_anew(sentence, PlanTerms.read(json.loads(written)))


def told_without_terms(sentence: str) -> str:
    """The same where the terms are not at hand, as in the log; for plans by one of the rules."""
    for preset in PRESETS:
        for removal in REMOVALS:
            for mails in (None, 2, 3):
                asked = ReengagementPolicy() if mails is None else ReengagementPolicy(mails)
                again = _made_anew(sentence, PlanTerms(preset, None, None, removal, mails is not None, asked))
                if again is not sentence:
                    return again
    return sentence


def _made_anew(sentence: str, terms: PlanTerms) -> str:
    whom = sentence.removesuffix(f": {terms.sentence}")
    on_list = whom.removeprefix(_ON_LIST)
    again = plan_sentence(None if on_list == whom else on_list, terms)
    return again if again == sentence else sentence


@dataclass(frozen=True, slots=True)
class HygieneSettings:
    """How a workspace keeps clean. ``is_scheduled``: plans are made by themselves; ``applies_plans``: applied, too.

    ``soft_bounces`` names the preset for repeated soft bounces; ``sets_tags``: low_engagement and opened_last_three.
    """

    soft_bounces: str = SEVEN_IN_A_ROW.name
    sets_tags: bool = True
    is_scheduled: bool = False
    applies_plans: bool = False
    look_every: int = 1
    prune_every: int = 3
    time_zone: str = "UTC"
    plan: PlanTerms = field(default_factory=PlanTerms)

    def __post_init__(self) -> None:
        if self.soft_bounces not in SOFT_BOUNCE_PRESETS:
            names = ", ".join(SOFT_BOUNCE_PRESETS)
            raise _refused(
                "soft_bounces",
                say("There is no policy '%(soft_bounces)s'.", soft_bounces=self.soft_bounces[:60]),
                say("Take one of %(known)s.", known=names),
            )
        try:
            _ = self.schedule
        except (KeyError, ValueError, OSError) as error:
            raise _refused(
                "time_zone",
                say("There is no time zone '%(zone)s'.", zone=self.time_zone[:60]),
                say("Write such as Asia/Jerusalem."),
            ) from error

    @property
    def bounce_policy(self) -> SoftBouncePolicy:
        """The preset for repeated soft bounces."""
        return SOFT_BOUNCE_PRESETS[self.soft_bounces]

    @property
    def schedule(self) -> PruningSchedule:
        """When to look and to prune."""
        return PruningSchedule(self.look_every, self.prune_every, ZoneInfo(self.time_zone))

    def written(self) -> str:
        """As JSON."""
        names = (name for name in self.__slots__ if name != "plan")
        return json.dumps({name: getattr(self, name) for name in names} | {"plan": json.loads(self.plan.written())})

    @classmethod
    def read(cls, text: str) -> "HygieneSettings":
        """The way back; what is not in it is as usual."""
        document = json.loads(text)
        plan = PlanTerms.read(document.pop("plan", {}))
        return cls(**document, plan=plan)


def _word(kind: Any, value: object, field_name: str) -> Any:
    if value is None or value == "":
        return None
    try:
        return kind(value)
    except ValueError as error:
        words = ", ".join(str(one) for one in kind) if kind is Rhythm else "archive, suppress"
        raise _refused(
            field_name,
            say("'%(value)s' is not known here.", value=str(value)[:60]),
            say("Take one of %(known)s.", known=words),
        ) from error


def _refused(field_name: str, sentence: str, next_step: str) -> RefusedError:
    return RefusedError(f"bad_{field_name}", sentence, field=field_name, next_step=next_step)
