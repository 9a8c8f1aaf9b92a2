"""What replies say in many words and languages: who is dead, who is spared. The sentences are our own."""

import pytest

from mailtypes.bounce import DEAD_REASONS, Blame, BounceReason, Stage
from mailtypes.smtp import EnhancedStatus, SmtpReply
from mta.bounce import Refusal, classify, classify_reply
from mta.bounce.rules import RULES, load_rules

DEAD = """\
550 RCPT TO:<x@b.test> User unknown
550 MAILBOX NOT FOUND
550 Benutzer nicht bekannt
550 Unknown local part x in <x@b.test>
550 #2175041 unavailable mail user
550 Local User [x@b.test] not found.
550 x:user not exist
550 RC:NE The email account does not exist.
550 The email account that you tried to reach does no exists.
550 no such user here
550 Addressee unknown
550 5.7.0 x@b.test... address invalid
550 local server don't exists that user
550 not user of this server
550 The recipient does not have an account
550 No user by that name
550 This user doesn't have an account here
550 The mailbox was deleted
550 Mailbox x@b.test does not exist
550 Nobody by that name
550 Recipient is not in our directory
550 A person of that name no longer works here
550 5.7.1 Invalid recipient x@b.test
550 Adresse d au moins un destinataire invalide
550 Utilisateur inconnu
550 El usuario no existe
550 No existe el buzón
550 Utente sconosciuto
550 Destinatario inesistente
550 Usuário desconhecido
550 Conta inexistente
550 Onbekende gebruiker
550 нет такого пользователя
550 Неизвестный получатель
550 תיבת הדואר לא קיימת
550 该用户不存在
550 ユーザーは存在しません
550 użytkownik nie istnieje
550 Unknown domain
550 Die Domäne existiert nicht
550 The host does not accept mail
550 5.1.1 RCP-P1
550 I cannot locate a mailbox for that person
550 There is no such thing: we have no user x
550 The recipient does not match any account
550 No such addressee
550 This address is no good
550 No mail servers appear to exist for that domain
550 The destination host is unknown
551 The user has left us""".splitlines()

# Refused in answer to RCPT, which hosts do for reasons of every kind; X.1.1 is what some write beside any of them.
LIVING = """\
550 5.1.1 Relaying denied
550 5.1.1 Relay access denied for this recipient
554 5.1.1 Your IP is blocked here
550 5.1.1 Connection from your network is refused
550 5.1.1 message considered spam
550 5.1.1 virus found
550 5.1.1 refused by the DMARC policy of the domain
550 5.1.1 Account disabled
550 5.1.1 mailbox inactive
550 5.1.1 the user's mailbox is full
550 5.1.1 RCP-P2
550 5.1.1 sender rejected
550 Fake sender
550 Domain of sender address y@c.test does not exist
550 Your domain does not exist
550 MAIL FROM domain not found
550 No MX record for your domain
550 the return path domain could not be resolved
550 Sender verify failed: user unknown
550 callout verification failed: sender address unknown
550 unknown sender user
550 Invalid from address
550 Absender existiert nicht
554 5.7.1 Client host rejected: cannot find your hostname
550 HELO host name unknown
550 Access denied: invalid HELO name
550 No PTR record found for your host
550 IP address not found in DNS
550 access from unknown host denied
550 SPF record for domain not found
550 5.7.1 DKIM public key for domain not found
550 rejected, because the domain of the URL is unknown
550 Message moved to quarantine
550 Account has exceeded its hourly sending limit
550 5.7.1 You are not a member of this list
550 Only members may post to this address
550 Attachment type unknown
535 invalid username or password
550 Mail from your network is refused
550 The user does not have permission to receive from outside
550 Feature not supported on this host
550 message not accepted on this server
550 your address is unknown to our members
554 5.7.1 Recipient address rejected: Greylisted
550 Recipient address rejected: Account suspended
554 Das Postfach ist voll
550 Benutzer hat das Speichervolumen ueberschritten
550 User has exhausted allowed storage space
550 Boite aux lettres pleine
550 Casella piena
550 Ящик переполнен
550 התיבה מלאה
550 メールボックスの容量を超えました""".splitlines()


@pytest.mark.parametrize("text", DEAD)
def test_who_is_dead(text: str) -> None:
    found = classify_reply(SmtpReply.of(int(text[:3]), text[4:]), Stage.RCPT)
    assert found.is_recipient_dead, found


@pytest.mark.parametrize("text", LIVING)
def test_who_is_spared(text: str) -> None:
    found = classify_reply(SmtpReply.of(int(text[:3]), text[4:]), Stage.RCPT)
    assert not found.is_recipient_dead, found


@pytest.mark.parametrize("stage", [Stage.GREETING, Stage.EHLO, Stage.MAIL])
@pytest.mark.parametrize("text", ["550 5.1.2 domain not found", "550 5.1.1 no such user", "550 Unknown domain"])
def test_nobody_is_dead_before_he_is_named(text: str, stage: Stage) -> None:
    found = classify_reply(SmtpReply.of(550, text[4:]), stage)
    assert (found.is_recipient_dead, found.blames) == (False, Blame.SENDER), found


@pytest.mark.parametrize(
    ("status", "reason", "dead"),
    [
        (EnhancedStatus(5, 4, 4), BounceReason.HOST_UNKNOWN, True),
        (EnhancedStatus(4, 4, 4), BounceReason.NETWORK_ERROR, False),
    ],
)
def test_no_route_is_an_unknown_host_where_it_is_permanent(
    status: EnhancedStatus, reason: BounceReason, dead: bool
) -> None:
    found = classify(Refusal(status, 0, "xyzzy", is_final=True))
    assert (found.reason, found.is_recipient_dead) == (reason, dead)


def test_a_host_that_takes_no_mail_for_now_is_not_dead() -> None:
    for code, dead in ((550, True), (450, False)):
        refusal = Refusal(None, code, f"{code} this host does not accept mail", Stage.RCPT, is_final=True)
        assert classify(refusal).is_recipient_dead is dead


def test_words_of_a_dead_recipient_keep_a_status_from_being_outweighed() -> None:
    found = classify_reply(SmtpReply.of(550, "5.1.1 user unknown, and we do not relay, nor take spam"), Stage.RCPT)
    assert found.is_recipient_dead


def test_no_phrase_of_another_reason_kills() -> None:
    """Every phrase as a reply of its own, in answer to RCPT: none is shadowed by one that says the contrary."""
    contrary = []
    for rule in (*RULES.outweighing.rules, *RULES.wordings.rules):
        for phrase in rule.phrases:
            words = " ".join((phrase.first, *(piece for _, piece in phrase.rest))).strip(" $")
            found = classify_reply(SmtpReply.of(550, words), Stage.RCPT)
            if (rule.reason in DEAD_REASONS) != found.is_recipient_dead:
                contrary.append((rule.name, words, found.reason))
    # The same words, with nothing behind them, are what Postfix says of unknown mailboxes.
    assert {name for name, _, _ in contrary} <= {"refused address"}, contrary[:5]


RULE = '\n[[wording]]\nname="x"\nreason="spam"\nsource=""\nexamples=[]\nphrases=["{phrase}"]'


@pytest.mark.parametrize(
    ("phrase", "said", "is_said"),
    [
        ("{red,green} ~ apple", "a green ripe apple", True),
        ("{red,green} ~ apple", "a blue apple", False),
        ("red ~ apple", "red " + "x" * 22 + " apple", True),
        ("red ~ apple", "red " + "x" * 26 + " apple", False),
        ("red * apple", "red " + "x" * 26 + " apple", True),
        ("red * apple", "apple red", False),
        ("不存在", "用户不存在了", True),
        ("ripe $", "the apple is ripe", True),
        ("ripe $", "the ripe apple", False),
    ],
)
def test_how_phrases_are_written(phrase: str, said: str, is_said: bool) -> None:
    rules = load_rules("status = []" + RULE.replace("{phrase}", phrase))
    words = f" {said} $ "
    assert (rules.wordings.first(words) is not None) is is_said


def test_phrases_that_stand_for_too_many_are_refused() -> None:
    digits = "{0,1,2,3,4,5,6,7,8,9}"
    with pytest.raises(ValueError, match="stands for more than"):
        load_rules("status = []" + RULE.replace("{phrase}", f"word {digits} {digits} {digits} {digits}"))


def test_reasons_of_full_and_suspended_mailboxes_are_told_apart() -> None:
    for text, reason in (
        ("550 5.1.1 Account disabled", BounceReason.SUSPENDED),
        ("552 Das Postfach ist voll", BounceReason.MAILBOX_FULL),
        ("550 The account is no longer active", BounceReason.SUSPENDED),
        ("452 out of storage quota", BounceReason.MAILBOX_FULL),
    ):
        assert classify_reply(SmtpReply.of(int(text[:3]), text[4:]), Stage.RCPT).reason is reason
