"""The outgoing SMTP conversation as literal tables: (state, what was heard) -> (next state, what to do).

Why the tables look as they do:

- A state is named by the command whose reply is awaited. Whatever is not in the table breaks the protocol, and the
  connection ends: a client that guesses on after a 250 to DATA may put mail where nobody expects it.
- EHLO refused with 5yz falls back to HELO (RFC 5321 section 3.2). STARTTLS refused goes on in clear text, since
  TLS is opportunistic (RFC 7435); where a policy demands TLS the client looks at ``Conversation.is_encrypted``.
- A pipelined MAIL or RCPT that was refused leaves the replies of the later commands to come. They are awaited in
  the ``*_MOOT`` states. A server may answer DATA with 354 although no recipient is valid: then exactly one dot is
  sent, nothing of the message (RFC 2920 section 3.1), and its reply is not the message's outcome.
- After a refused RCPT or DATA the server's transaction is still open: RSET goes before the next MAIL, pipelined
  with it where possible (RFC 2920 section 3.1 lets RSET stand anywhere in a group).
- A refusal while the content is being written ends the connection: the rest cannot be called back.
- With PIPELINING the next message's MAIL, RCPT and DATA may go out in one write with the content before them
  (RFC 2920 section 3.1: the message's text may be the first "command" of a group). ``FINAL_CHAINED`` awaits the
  reply to such a final dot; ``MAIL_CHAINED`` the first reply of the message behind it, of which nothing was heard
  yet: where the connection ends there, it says nothing about that message.
- With CHUNKING as well (RFC 3030) the content goes behind ``BDAT n LAST``, once RCPT was answered with 2yz: a refused
  recipient costs no content and leaves no reply to come. After a BDAT that was refused the server's state is
  indeterminate until RSET (section 2), so RSET stands before every chained MAIL: it costs no round trip.
- 421 may come at any step and ends the connection (RFC 5321 section 3.8); it is the transient reply of the message
  that is under way, if there is one.
"""

from enum import StrEnum

from mailtypes.smtp import SmtpReply


class State(StrEnum):
    """Which reply is awaited."""

    GREETING = "greeting"
    EHLO = "ehlo"
    HELO = "helo"
    STARTTLS = "starttls"
    HANDSHAKE = "handshake"  # TLS is being negotiated; no SMTP may be heard
    READY = "ready"  # no reply is awaited
    RSET = "rset"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    CONTENT = "content"  # the content is being written; its final dot is not
    FINAL = "final"  # the final dot is written
    FINAL_CHAINED = "final_chained"  # the final dot is written, and the next message's commands behind it
    RSET_CHAINED = "rset_chained"  # as MAIL_CHAINED; behind a chunk RSET goes first
    MAIL_CHAINED = "mail_chained"  # the commands were written behind the message before
    RCPT_MOOT = "rcpt_moot"
    DATA_MOOT = "data_moot"
    DOT_MOOT = "dot_moot"
    QUIT = "quit"
    ENDED = "ended"


class Heard(StrEnum):
    """The kinds of reply that make a difference."""

    POSITIVE = "2yz"
    OFFERS_STARTTLS = "2yz with STARTTLS"  # to EHLO, where we want TLS and do not have it yet
    INTERMEDIATE = "3yz"
    TRANSIENT = "4yz"
    PERMANENT = "5yz"
    CLOSING = "421"


class Action(StrEnum):
    """What the conversation does on the way to the next state."""

    WAIT = "wait"
    SEND_EHLO = "send_ehlo"
    SEND_HELO = "send_helo"
    SEND_STARTTLS = "send_starttls"
    START_TLS = "start_tls"
    ANNOUNCE_READY = "announce_ready"
    SEND_MAIL = "send_mail"
    SEND_RCPT = "send_rcpt"
    SEND_DATA = "send_data"
    SEND_CONTENT = "send_content"
    SEND_DOT = "send_dot"
    KEEP_REFUSAL = "keep_refusal"  # the message is refused, but more replies are to come
    REPORT = "report"  # the message's outcome
    REPORT_AND_GO_ON = "report_and_go_on"  # the same, and the message behind it is the one under way now
    REPORT_THEN_RSET = "report_then_rset"  # the same, and the server's transaction is still open
    REPORT_AND_END = "report_and_end"
    END = "end"


S, H, A = State, Heard, Action
Table = dict[tuple[State, Heard], tuple[State, Action]]

_SESSION: Table = {
    (S.GREETING, H.POSITIVE): (S.EHLO, A.SEND_EHLO),
    (S.GREETING, H.TRANSIENT): (S.ENDED, A.END),
    (S.GREETING, H.PERMANENT): (S.ENDED, A.END),
    (S.GREETING, H.CLOSING): (S.ENDED, A.END),
    (S.EHLO, H.POSITIVE): (S.READY, A.ANNOUNCE_READY),
    (S.EHLO, H.OFFERS_STARTTLS): (S.STARTTLS, A.SEND_STARTTLS),
    (S.EHLO, H.TRANSIENT): (S.ENDED, A.END),
    (S.EHLO, H.PERMANENT): (S.HELO, A.SEND_HELO),
    (S.EHLO, H.CLOSING): (S.ENDED, A.END),
    (S.HELO, H.POSITIVE): (S.READY, A.ANNOUNCE_READY),
    (S.HELO, H.TRANSIENT): (S.ENDED, A.END),
    (S.HELO, H.PERMANENT): (S.ENDED, A.END),
    (S.HELO, H.CLOSING): (S.ENDED, A.END),
    (S.STARTTLS, H.POSITIVE): (S.HANDSHAKE, A.START_TLS),
    (S.STARTTLS, H.TRANSIENT): (S.READY, A.ANNOUNCE_READY),
    (S.STARTTLS, H.PERMANENT): (S.READY, A.ANNOUNCE_READY),
    (S.STARTTLS, H.CLOSING): (S.ENDED, A.END),
    (S.READY, H.CLOSING): (S.ENDED, A.END),
    (S.QUIT, H.POSITIVE): (S.ENDED, A.END),
    (S.QUIT, H.TRANSIENT): (S.ENDED, A.END),
    (S.QUIT, H.PERMANENT): (S.ENDED, A.END),
    (S.QUIT, H.CLOSING): (S.ENDED, A.END),
}

_TRANSACTION: Table = {
    (S.RSET, H.TRANSIENT): (S.ENDED, A.END),
    (S.RSET, H.PERMANENT): (S.ENDED, A.END),
    (S.RSET, H.CLOSING): (S.ENDED, A.REPORT_AND_END),
    (S.MAIL, H.CLOSING): (S.ENDED, A.REPORT_AND_END),
    (S.RCPT, H.CLOSING): (S.ENDED, A.REPORT_AND_END),
    (S.DATA, H.INTERMEDIATE): (S.CONTENT, A.SEND_CONTENT),
    (S.DATA, H.TRANSIENT): (S.READY, A.REPORT_THEN_RSET),
    (S.DATA, H.PERMANENT): (S.READY, A.REPORT_THEN_RSET),
    (S.DATA, H.CLOSING): (S.ENDED, A.REPORT_AND_END),
    (S.CONTENT, H.TRANSIENT): (S.ENDED, A.REPORT_AND_END),
    (S.CONTENT, H.PERMANENT): (S.ENDED, A.REPORT_AND_END),
    (S.CONTENT, H.CLOSING): (S.ENDED, A.REPORT_AND_END),
    (S.FINAL, H.POSITIVE): (S.READY, A.REPORT),
    (S.FINAL, H.TRANSIENT): (S.READY, A.REPORT),
    (S.FINAL, H.PERMANENT): (S.READY, A.REPORT),
    (S.FINAL, H.CLOSING): (S.ENDED, A.REPORT_AND_END),
}

LOCKSTEP: Table = {
    **_SESSION,
    **_TRANSACTION,
    (S.RSET, H.POSITIVE): (S.MAIL, A.SEND_MAIL),
    (S.MAIL, H.POSITIVE): (S.RCPT, A.SEND_RCPT),
    (S.MAIL, H.TRANSIENT): (S.READY, A.REPORT),
    (S.MAIL, H.PERMANENT): (S.READY, A.REPORT),
    (S.RCPT, H.POSITIVE): (S.DATA, A.SEND_DATA),
    (S.RCPT, H.TRANSIENT): (S.READY, A.REPORT_THEN_RSET),
    (S.RCPT, H.PERMANENT): (S.READY, A.REPORT_THEN_RSET),
}
"""Without PIPELINING: each command waits for the reply to the one before."""

PIPELINED: Table = {
    **_SESSION,
    **_TRANSACTION,
    (S.RSET, H.POSITIVE): (S.MAIL, A.WAIT),
    (S.MAIL, H.POSITIVE): (S.RCPT, A.WAIT),
    (S.MAIL, H.TRANSIENT): (S.RCPT_MOOT, A.KEEP_REFUSAL),
    (S.MAIL, H.PERMANENT): (S.RCPT_MOOT, A.KEEP_REFUSAL),
    (S.FINAL_CHAINED, H.POSITIVE): (S.MAIL_CHAINED, A.REPORT_AND_GO_ON),
    (S.FINAL_CHAINED, H.TRANSIENT): (S.MAIL_CHAINED, A.REPORT_AND_GO_ON),
    (S.FINAL_CHAINED, H.PERMANENT): (S.MAIL_CHAINED, A.REPORT_AND_GO_ON),
    (S.FINAL_CHAINED, H.CLOSING): (S.ENDED, A.REPORT_AND_END),
    (S.MAIL_CHAINED, H.POSITIVE): (S.RCPT, A.WAIT),
    (S.MAIL_CHAINED, H.TRANSIENT): (S.RCPT_MOOT, A.KEEP_REFUSAL),
    (S.MAIL_CHAINED, H.PERMANENT): (S.RCPT_MOOT, A.KEEP_REFUSAL),
    (S.MAIL_CHAINED, H.CLOSING): (S.ENDED, A.REPORT_AND_END),
    (S.RCPT, H.POSITIVE): (S.DATA, A.WAIT),
    (S.RCPT, H.TRANSIENT): (S.DATA_MOOT, A.KEEP_REFUSAL),
    (S.RCPT, H.PERMANENT): (S.DATA_MOOT, A.KEEP_REFUSAL),
    (S.RCPT_MOOT, H.POSITIVE): (S.DATA_MOOT, A.WAIT),
    (S.RCPT_MOOT, H.TRANSIENT): (S.DATA_MOOT, A.WAIT),
    (S.RCPT_MOOT, H.PERMANENT): (S.DATA_MOOT, A.WAIT),
    (S.RCPT_MOOT, H.CLOSING): (S.ENDED, A.REPORT_AND_END),
    (S.DATA_MOOT, H.INTERMEDIATE): (S.DOT_MOOT, A.SEND_DOT),
    (S.DATA_MOOT, H.TRANSIENT): (S.READY, A.REPORT_THEN_RSET),
    (S.DATA_MOOT, H.PERMANENT): (S.READY, A.REPORT_THEN_RSET),
    (S.DATA_MOOT, H.CLOSING): (S.ENDED, A.REPORT_AND_END),
    (S.DOT_MOOT, H.POSITIVE): (S.READY, A.REPORT_THEN_RSET),
    (S.DOT_MOOT, H.TRANSIENT): (S.READY, A.REPORT_THEN_RSET),
    (S.DOT_MOOT, H.PERMANENT): (S.READY, A.REPORT_THEN_RSET),
    (S.DOT_MOOT, H.CLOSING): (S.ENDED, A.REPORT_AND_END),
}
"""With PIPELINING (RFC 2920): RSET, MAIL, RCPT and DATA go in one write, their replies come one by one."""

_BEHIND_DATA = frozenset({S.DATA, S.DATA_MOOT, S.DOT_MOOT})

CHUNKED: Table = {
    **{step: then for step, then in PIPELINED.items() if step[0] not in _BEHIND_DATA},
    (S.RCPT, H.POSITIVE): (S.CONTENT, A.SEND_CONTENT),
    (S.RCPT, H.TRANSIENT): (S.READY, A.REPORT_THEN_RSET),
    (S.RCPT, H.PERMANENT): (S.READY, A.REPORT_THEN_RSET),
    (S.RCPT_MOOT, H.POSITIVE): (S.READY, A.REPORT_THEN_RSET),
    (S.RCPT_MOOT, H.TRANSIENT): (S.READY, A.REPORT_THEN_RSET),
    (S.RCPT_MOOT, H.PERMANENT): (S.READY, A.REPORT_THEN_RSET),
    (S.FINAL, H.TRANSIENT): (S.READY, A.REPORT_THEN_RSET),
    (S.FINAL, H.PERMANENT): (S.READY, A.REPORT_THEN_RSET),
    (S.FINAL_CHAINED, H.POSITIVE): (S.RSET_CHAINED, A.REPORT_AND_GO_ON),
    (S.FINAL_CHAINED, H.TRANSIENT): (S.RSET_CHAINED, A.REPORT_AND_GO_ON),
    (S.FINAL_CHAINED, H.PERMANENT): (S.RSET_CHAINED, A.REPORT_AND_GO_ON),
    (S.RSET_CHAINED, H.POSITIVE): (S.MAIL_CHAINED, A.WAIT),
    (S.RSET_CHAINED, H.TRANSIENT): (S.ENDED, A.END),
    (S.RSET_CHAINED, H.PERMANENT): (S.ENDED, A.END),
    (S.RSET_CHAINED, H.CLOSING): (S.ENDED, A.REPORT_AND_END),
}
"""With PIPELINING and CHUNKING (RFC 3030): RSET, MAIL and RCPT go in one write, then one chunk."""

IN_TRANSACTION: frozenset[State] = frozenset(
    {S.RSET, S.MAIL, S.RCPT, S.DATA, S.CONTENT, S.FINAL, S.FINAL_CHAINED, S.RCPT_MOOT, S.DATA_MOOT, S.DOT_MOOT}
)
"""The states in which one message is under way, and a lost connection says what became of it."""

DOT_IS_OUT: frozenset[State] = frozenset({S.FINAL, S.FINAL_CHAINED})
"""The states in which the other side may have the whole message."""

_BY_CLASS = {2: H.POSITIVE, 3: H.INTERMEDIATE, 4: H.TRANSIENT, 5: H.PERMANENT}


def heard(reply: SmtpReply) -> Heard:
    """The kind of ``reply``; 421 is a kind of its own (RFC 5321 section 3.8)."""
    return H.CLOSING if reply.code == 421 else _BY_CLASS[reply.code // 100]
