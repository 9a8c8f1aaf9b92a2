import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mta.conversation import Conversation, Done, Ended, Ready, StartTls, Write, WriteContent
from mta.conversation_table import CHUNKED, LOCKSTEP, PIPELINED, Heard, State
from mta.transmission import Transmission, UnsendableError, Verdict

MESSAGE = b"From: a@a.test\r\nSubject: x\r\n\r\n.dot\r\nbody\r\n"
EHLO = b"250-peer.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 SIZE 1000000\r\n"


def transmission(message=MESSAGE, rcpt_to="b@b.test", mail_from="a@a.test"):
    return Transmission.of(mail_from, rcpt_to, message)


def opened(ehlo=EHLO, wants_tls=False):
    conversation = Conversation("me.test", wants_tls=wants_tls)
    assert conversation.receive(b"220 hi\r\n") == [Write(b"EHLO me.test\r\n")]
    assert conversation.receive(ehlo) == [Ready()]
    return conversation


def verdict_of(events):
    [attempt] = [event.attempt for event in events if isinstance(event, Done)]
    return attempt


def test_pipelined_message_takes_two_writes():
    conversation = opened()
    [write] = conversation.begin(transmission())
    assert write.data == b"MAIL FROM:<a@a.test> SIZE=%d\r\nRCPT TO:<b@b.test>\r\nDATA\r\n" % len(MESSAGE)
    [write] = conversation.receive(b"250 ok\r\n250 ok\r\n354 go\r\n")
    assert write.data == b"From: a@a.test\r\nSubject: x\r\n\r\n..dot\r\nbody\r\n.\r\n"
    attempt = verdict_of(conversation.receive(b"250 2.0.0 queued\r\n"))
    assert attempt.verdict is Verdict.ACCEPTED
    assert str(attempt.reply.enhanced_status) == "2.0.0"
    assert conversation.is_ready


def test_without_pipelining_each_command_waits():
    conversation = opened(b"250 peer.test\r\n")
    assert conversation.begin(transmission()) == [Write(b"MAIL FROM:<a@a.test>\r\n")]
    assert conversation.receive(b"250 ok\r\n") == [Write(b"RCPT TO:<b@b.test>\r\n")]
    assert conversation.receive(b"250 ok\r\n") == [Write(b"DATA\r\n")]
    [write] = conversation.receive(b"354 go\r\n")
    assert write.data.endswith(b"\r\n.\r\n")


def test_ehlo_refused_falls_back_to_helo():
    conversation = Conversation("me.test", wants_tls=True)
    conversation.receive(b"220 hi\r\n")
    assert conversation.receive(b"502 what\r\n") == [Write(b"HELO me.test\r\n")]
    assert conversation.receive(b"250 fine\r\n") == [Ready()]


@pytest.mark.parametrize("answer", [b"250 done\r\n", b"554 no valid recipients\r\n"])
def test_354_after_a_refused_recipient_gets_nothing_but_the_dot(answer):
    conversation = opened()
    conversation.begin(transmission())
    assert conversation.receive(b"250 ok\r\n550 5.1.1 unknown\r\n354 go\r\n") == [Write(b".\r\n")]
    attempt = verdict_of(conversation.receive(answer))
    assert (attempt.verdict, attempt.reply.code) == (Verdict.PERMANENT, 550)
    [write] = conversation.begin(transmission())
    assert write.data.startswith(b"RSET\r\nMAIL FROM:")


def test_refused_mail_waits_for_the_replies_still_to_come():
    conversation = opened()
    conversation.begin(transmission())
    assert conversation.receive(b"451 4.7.1 later\r\n") == []
    assert conversation.receive(b"503 no MAIL\r\n") == []
    attempt = verdict_of(conversation.receive(b"503 no RCPT\r\n"))
    assert (attempt.verdict, attempt.reply.code) == (Verdict.TRANSIENT, 451)
    assert conversation.is_ready


def test_a_refusal_heard_before_the_connection_broke_counts():
    conversation = opened()
    conversation.begin(transmission())
    conversation.receive(b"250 ok\r\n550 5.1.1 unknown\r\n")
    assert conversation.lost("gone").verdict is Verdict.PERMANENT


def test_lockstep_refused_recipient_resets_before_the_next():
    conversation = opened(b"250 peer.test\r\n")
    conversation.begin(transmission())
    conversation.receive(b"250 ok\r\n")
    assert verdict_of(conversation.receive(b"550 no\r\n")).verdict is Verdict.PERMANENT
    assert conversation.begin(transmission()) == [Write(b"RSET\r\n")]
    assert conversation.receive(b"250 ok\r\n") == [Write(b"MAIL FROM:<a@a.test>\r\n")]


def test_lost_before_and_after_the_final_dot():
    before = opened()
    before.begin(transmission())
    assert before.lost("gone").verdict is Verdict.NOT_SENT
    after = opened()
    after.begin(transmission())
    after.receive(b"250 ok\r\n250 ok\r\n354 go\r\n")
    assert after.lost("gone").verdict is Verdict.UNKNOWN
    assert opened().lost("gone") is None


def test_long_content_keeps_its_dot_back():
    message = b"Subject: x\r\n\r\n" + b"0123456789abcdef" * 20_000 + b"\r\n"
    conversation = opened()
    conversation.begin(transmission(message))
    [write] = conversation.receive(b"250 ok\r\n250 ok\r\n354 go\r\n")
    assert isinstance(write, WriteContent)
    assert conversation.state is State.CONTENT
    assert write.head + conversation.finish_content() == message + b".\r\n"
    assert conversation.lost("gone").verdict is Verdict.UNKNOWN


def test_refusal_while_content_is_written_ends_the_connection():
    conversation = opened()
    conversation.begin(transmission(b"Subject: x\r\n\r\n" + b"a" * 200_000 + b"\r\n"))
    conversation.receive(b"250 ok\r\n250 ok\r\n354 go\r\n")
    done, ended = conversation.receive(b"552 5.3.4 too big\r\n")
    assert done.attempt.verdict is Verdict.PERMANENT
    assert isinstance(ended, Ended)


@pytest.mark.parametrize(
    "replies", [b"421 bye\r\n", b"250 ok\r\n421 bye\r\n", b"250 ok\r\n250 ok\r\n354 go\r\n421 bye\r\n"]
)
def test_421_at_any_step_is_transient_and_ends(replies):
    conversation = opened()
    conversation.begin(transmission())
    events = conversation.receive(replies)
    assert verdict_of(events).verdict is Verdict.TRANSIENT
    assert isinstance(events[-1], Ended)


def test_an_outcome_earned_before_the_protocol_broke_is_not_lost():
    conversation = opened()
    conversation.begin(transmission())
    conversation.receive(b"250 ok\r\n250 ok\r\n354 go\r\n")
    done, ended = conversation.receive(b"250 taken\r\nrubbish\r\n")
    assert done.attempt.verdict is Verdict.ACCEPTED
    assert isinstance(ended, Ended)


@pytest.mark.parametrize(
    "reply", [b"354 what\r\n", b"200\r\nx\r\n", b"\xff\xfe\r\n", b"199 x\r\n", b"a" * 5000, b"250-x\r\n" * 101]
)
def test_broken_protocol_before_the_dot_means_not_sent(reply):
    conversation = opened()
    conversation.begin(transmission())
    done, ended = conversation.receive(reply)
    assert done.attempt.verdict is Verdict.NOT_SENT
    assert isinstance(ended, Ended)
    assert conversation.receive(b"250 ok\r\n") == []


def test_250_to_data_is_no_licence_to_send():
    conversation = opened()
    conversation.begin(transmission())
    done, _ = conversation.receive(b"250 ok\r\n250 ok\r\n250 ok\r\n")
    assert done.attempt.verdict is Verdict.NOT_SENT


STARTTLS = b"250-peer.test\r\n250-PIPELINING\r\n250 STARTTLS\r\n"


def test_starttls_forgets_what_was_offered_in_clear():
    conversation = Conversation("me.test", wants_tls=True)
    conversation.receive(b"220 hi\r\n")
    assert conversation.receive(STARTTLS) == [Write(b"STARTTLS\r\n")]
    assert conversation.receive(b"220 go\r\n") == [StartTls()]
    assert conversation.tls_started() == [Write(b"EHLO me.test\r\n")]
    assert conversation.receive(b"250 peer.test\r\n") == [Ready()]
    assert not conversation.extensions.pipelining


@pytest.mark.parametrize(
    "chunks", [[b"220 go\r\n250 injected\r\n"], [b"220 go\r\n", b"250 injected\r\n"], [b"220 go\r\nx"]]
)
def test_clear_text_before_the_handshake_ends_the_connection(chunks):
    conversation = Conversation("me.test", wants_tls=True)
    conversation.receive(b"220 hi\r\n")
    conversation.receive(STARTTLS)
    events = [event for chunk in chunks for event in conversation.receive(chunk)]
    assert isinstance(events[-1], Ended)


def test_starttls_refused_goes_on_in_clear():
    conversation = Conversation("me.test", wants_tls=True)
    conversation.receive(b"220 hi\r\n")
    conversation.receive(STARTTLS)
    assert conversation.receive(b"454 not now\r\n") == [Ready()]
    assert not conversation.is_encrypted


def test_what_the_host_cannot_take_is_not_sent():
    too_big = opened(b"250-x\r\n250 SIZE 10\r\n").begin(transmission())
    assert verdict_of(too_big).cause.startswith("5.3.4")
    utf8 = opened(b"250-x\r\n250 8BITMIME\r\n").begin(transmission(rcpt_to="דוד@b.test"))
    assert verdict_of(utf8).cause.startswith("5.6.7")
    eight_bit = opened(b"250 x\r\n").begin(transmission(b"Subject: x\r\n\r\n\xd7\x90\r\n"))
    assert verdict_of(eight_bit).cause.startswith("5.6.3")


def test_parameters_as_offered():
    conversation = opened()
    [write] = conversation.begin(transmission("Subject: א\r\n\r\nא\r\n".encode(), rcpt_to="דוד@b.test", mail_from=""))
    assert write.data.startswith(b"MAIL FROM:<> SIZE=19 BODY=8BITMIME SMTPUTF8\r\nRCPT TO:<\xd7\x93")


@pytest.mark.parametrize(
    "path", ["a@b\r\nDATA", "a b@c", "<a@b>", "a\0@b", "a\x85".encode("latin1").decode("latin1") * 200, "\ud800@b"]
)
def test_envelope_that_would_break_out_is_refused(path):
    with pytest.raises(UnsendableError):
        transmission(rcpt_to=path)
    with pytest.raises(UnsendableError):
        transmission(mail_from=path)


@pytest.mark.parametrize("message", [b"a\n.\nMAIL FROM:<x>\r\n", b"a\r.\r\n", b"a\r\n\rb\r\n", b"a\0\r\n"])
def test_content_that_would_smuggle_is_refused(message):
    with pytest.raises(UnsendableError):
        transmission(message)


@pytest.mark.parametrize("name", ["a b", "x\r\nMAIL", "", "a" * 256])
def test_ehlo_name_is_checked(name):
    with pytest.raises(ValueError):
        Conversation(name, wants_tls=False)


@given(
    st.lists(
        st.lists(st.sampled_from([b"", b".", b"..", b".a", b"a", b"a."]), max_size=4).map(b"\r\n".join), max_size=4
    ).map(b"\r\n".join)
)
def test_dots_come_back_as_they_were(message):
    content = transmission(message).content
    lines = content.split(b"\r\n")
    assert lines[-2:] == [b".", b""]
    assert b"." not in lines[:-2]
    restored = b"\r\n".join(line.removeprefix(b".") for line in lines[:-2])
    assert restored in (message, message.removesuffix(b"\r\n"))


REPLY = st.sampled_from(
    [
        b"220 x\r\n",
        b"250 ok\r\n",
        b"250-a\r\n",
        EHLO,
        STARTTLS,
        b"354 go\r\n",
        b"421 bye\r\n",
        b"450 x\r\n",
        b"550 x\r\n",
    ]
)


def chained(*followers, ehlo=EHLO):
    """A conversation whose first message is being sent, with the followers behind it."""
    conversation = opened(ehlo)
    waiting = list(followers)
    conversation.begin(transmission(), lambda: waiting.pop(0) if waiting else None)
    return conversation


GROUP = b"250 ok\r\n250 ok\r\n354 go\r\n"


def test_the_next_commands_go_out_with_the_end_of_the_content():
    conversation = chained(transmission(rcpt_to="c@b.test"), transmission(rcpt_to="d@b.test"))
    [write] = conversation.receive(GROUP)
    assert write.data.endswith(
        b"body\r\n.\r\nMAIL FROM:<a@a.test> SIZE=%d\r\nRCPT TO:<c@b.test>\r\nDATA\r\n" % len(MESSAGE)
    )
    done, write = conversation.receive(b"250 2.0.0 first\r\n" + GROUP)
    assert done.attempt.reply.text == "2.0.0 first"
    assert write.data.endswith(b"RCPT TO:<d@b.test>\r\nDATA\r\n")
    done, last = conversation.receive(b"451 4.7.1 second\r\n" + GROUP)
    assert done.attempt.verdict is Verdict.TRANSIENT
    assert last.data.endswith(b"body\r\n.\r\n")
    assert not conversation.is_ready
    assert verdict_of(conversation.receive(b"250 third\r\n")).verdict is Verdict.ACCEPTED
    assert conversation.is_ready


def test_a_chained_recipient_that_is_refused_is_the_second_outcome():
    conversation = chained(transmission(rcpt_to="c@b.test"))
    conversation.receive(GROUP)
    done, dot = conversation.receive(b"250 first\r\n250 ok\r\n550 5.1.1 unknown\r\n354 go\r\n")
    assert (done.attempt.verdict, dot.data) == (Verdict.ACCEPTED, b".\r\n")
    assert verdict_of(conversation.receive(b"554 nobody\r\n")).reply.code == 550
    [write] = conversation.begin(transmission())
    assert write.data.startswith(b"RSET\r\n")


def test_a_lost_connection_says_nothing_about_a_message_of_which_nothing_was_heard():
    unanswered = chained(transmission(rcpt_to="c@b.test"))
    unanswered.receive(GROUP)
    assert unanswered.lost("gone").verdict is Verdict.UNKNOWN
    answered = chained(transmission(rcpt_to="c@b.test"))
    answered.receive(GROUP)
    answered.receive(b"250 first\r\n")
    assert answered.lost("gone") is None
    begun = chained(transmission(rcpt_to="c@b.test"))
    begun.receive(GROUP)
    begun.receive(b"250 first\r\n250 ok\r\n")
    assert begun.lost("gone").verdict is Verdict.NOT_SENT


def test_421_to_a_chained_mail_is_its_transient_reply():
    conversation = chained(transmission(rcpt_to="c@b.test"))
    conversation.receive(GROUP)
    first, second, ended = conversation.receive(b"250 first\r\n421 4.7.0 enough\r\n")
    assert (first.attempt.verdict, second.attempt.verdict) == (Verdict.ACCEPTED, Verdict.TRANSIENT)
    assert isinstance(ended, Ended)


def test_without_pipelining_nothing_is_chained():
    conversation = chained(transmission(rcpt_to="c@b.test"), ehlo=b"250 peer.test\r\n")
    conversation.receive(b"250 ok\r\n")
    conversation.receive(b"250 ok\r\n")
    [write] = conversation.receive(b"354 go\r\n")
    assert write.data.endswith(b"body\r\n.\r\n")


@given(st.lists(st.one_of(st.binary(max_size=40), REPLY), max_size=40), st.integers(0, 5))
def test_whatever_is_heard_chained_messages_have_at_most_one_outcome_each(chunks, followers):
    conversation = Conversation("me.test", wants_tls=False)
    begun = done = 0

    def follower():
        nonlocal begun, followers
        if not followers:
            return None
        followers, begun = followers - 1, begun + 1
        return transmission()

    for chunk in chunks:
        done += sum(isinstance(event, Done) for event in conversation.receive(chunk))
        assert done <= begun
        if conversation.is_ready:
            assert done == begun
            begun += 1
            done += sum(isinstance(event, Done) for event in conversation.begin(transmission(), follower))
    done += conversation.lost("end") is not None
    assert begun - 1 <= done <= begun  # the last one may have been chained, and nothing heard of it


@given(st.lists(st.one_of(st.binary(max_size=40), REPLY), max_size=30), st.booleans())
def test_whatever_is_heard_nothing_raises_and_every_message_has_one_outcome(chunks, wants_tls):
    conversation = Conversation("me.test", wants_tls=wants_tls)
    begun = done = 0
    for chunk in chunks:
        events = conversation.receive(chunk)
        done += sum(isinstance(event, Done) for event in events)
        assert sum(isinstance(event, Ended) for event in events) <= 1
        if any(isinstance(event, StartTls) for event in events) and conversation.state is State.HANDSHAKE:
            conversation.tls_started()
        if conversation.is_ready:
            begun += 1
            done += sum(isinstance(event, Done) for event in conversation.begin(transmission()))
    done += conversation.lost("end") is not None
    assert begun == done


@given(
    st.binary(max_size=200).map(lambda tail: EHLO + b"250 ok\r\n250 ok\r\n354 go\r\n250 taken\r\n" + tail),
    st.integers(1, 7),
)
def test_how_bytes_are_cut_makes_no_difference(heard, size):
    def play(pieces):
        conversation = Conversation("me.test", wants_tls=False)
        events = conversation.receive(b"220 hi\r\n") + conversation.receive(EHLO)
        events += conversation.begin(transmission())
        for piece in pieces:
            events += conversation.receive(piece)
        return events

    tail = heard[len(EHLO) :]
    assert play([tail]) == play([tail[at : at + size] for at in range(0, len(tail), size)])


@pytest.mark.parametrize("table", [LOCKSTEP, PIPELINED, CHUNKED])
def test_every_state_that_is_reached_takes_421_and_can_end(table):
    reached = {State.GREETING} | {after for after, _ in table.values()}
    for state in reached - {State.HANDSHAKE, State.ENDED}:
        assert (state, Heard.CLOSING) in table or state in {State.RSET}
    assert not any(before is State.ENDED for before, _ in table)


@given(st.lists(st.sampled_from([b"\r\n", b"\r", b"\n", b"a", b"."]), max_size=12).map(b"".join))
def test_the_check_of_line_ends_agrees_with_its_definition(message):
    bare = re.search(rb"\r(?!\n)|(?<!\r)\n", message) is not None
    try:
        transmission(message)
    except UnsendableError:
        assert bare
    else:
        assert not bare


CHUNKING = EHLO.replace(b"250-8BITMIME", b"250-CHUNKING\r\n250-8BITMIME")
CHUNK = b"BDAT %d LAST\r\n%b" % (len(MESSAGE), MESSAGE)


def test_a_chunk_follows_the_recipient_and_needs_no_dots():
    conversation = opened(CHUNKING)
    [write] = conversation.begin(transmission())
    assert write.data == b"MAIL FROM:<a@a.test> SIZE=%d\r\nRCPT TO:<b@b.test>\r\n" % len(MESSAGE)
    assert conversation.receive(b"250 ok\r\n") == []
    assert conversation.receive(b"250 ok\r\n") == [Write(CHUNK)]
    assert verdict_of(conversation.receive(b"250 2.0.0 queued\r\n")).verdict is Verdict.ACCEPTED
    [write] = conversation.begin(transmission())
    assert write.data.startswith(b"MAIL FROM:")


def test_chunking_without_pipelining_is_left_alone():
    conversation = opened(b"250-x\r\n250 CHUNKING\r\n")
    conversation.begin(transmission())
    conversation.receive(b"250 ok\r\n")
    assert conversation.receive(b"250 ok\r\n") == [Write(b"DATA\r\n")]


def test_no_chunk_goes_to_a_host_that_is_known_to_refuse_them():
    conversation = Conversation("me.test", wants_tls=False, wants_chunks=False)
    conversation.receive(b"220 hi\r\n")
    conversation.receive(CHUNKING)
    [write] = conversation.begin(transmission())
    assert write.data.endswith(b"DATA\r\n")


@pytest.mark.parametrize("replies", [b"250 ok\r\n550 5.1.1 no\r\n", b"550 5.7.1 no\r\n503 what\r\n"])
def test_a_refusal_before_the_chunk_sends_no_content(replies):
    conversation = opened(CHUNKING)
    conversation.begin(transmission())
    [done] = conversation.receive(replies)
    assert (done.attempt.verdict, done.attempt.reply.code) == (Verdict.PERMANENT, 550)
    [write] = conversation.begin(transmission())
    assert write.data.startswith(b"RSET\r\nMAIL FROM:")


def test_behind_a_chunk_rset_stands_before_the_next_message():
    conversation = chained(transmission(rcpt_to="c@b.test"), ehlo=CHUNKING)
    [write] = conversation.receive(b"250 ok\r\n250 ok\r\n")
    head, _, tail = write.data.partition(b"RSET\r\n")
    assert head == CHUNK
    assert tail == b"MAIL FROM:<a@a.test> SIZE=%d\r\nRCPT TO:<c@b.test>\r\n" % len(MESSAGE)
    refused, last = conversation.receive(b"554 5.7.1 first\r\n250 reset\r\n250 ok\r\n250 ok\r\n")
    assert refused.attempt.verdict is Verdict.PERMANENT
    assert last.data == CHUNK
    assert verdict_of(conversation.receive(b"250 second\r\n")).verdict is Verdict.ACCEPTED


def test_a_lost_chunk_is_ambiguous_and_what_is_behind_it_unheard():
    conversation = chained(transmission(rcpt_to="c@b.test"), ehlo=CHUNKING)
    conversation.receive(b"250 ok\r\n")
    assert conversation.lost("gone").verdict is Verdict.NOT_SENT
    conversation = chained(transmission(rcpt_to="c@b.test"), ehlo=CHUNKING)
    conversation.receive(b"250 ok\r\n250 ok\r\n")
    assert conversation.lost("gone").verdict is Verdict.UNKNOWN
    conversation = chained(transmission(rcpt_to="c@b.test"), ehlo=CHUNKING)
    conversation.receive(b"250 ok\r\n250 ok\r\n250 first\r\n250 reset\r\n")
    assert conversation.lost("gone") is None


def test_a_long_chunk_keeps_its_end_back():
    message = b"Subject: x\r\n\r\n" + b"0123456789abcdef\r\n" * 20_000
    conversation = opened(CHUNKING)
    conversation.begin(transmission(message))
    [write] = conversation.receive(b"250 ok\r\n250 ok\r\n")
    assert conversation.state is State.CONTENT
    assert write.head + conversation.finish_content() == b"BDAT %d LAST\r\n%b" % (len(message), message)


@pytest.mark.parametrize("code", [b"500", b"502", b"503", b"504"])
def test_a_host_that_does_not_know_bdat_gets_the_message_by_data(code):
    conversation = opened(CHUNKING)
    conversation.begin(transmission())
    conversation.receive(b"250 ok\r\n250 ok\r\n")
    assert conversation.receive(code + b" 5.5.1 what\r\n") == [Write(b"RSET\r\n")]
    assert conversation.refuses_chunks
    conversation.receive(b"250 ok\r\n")
    conversation.receive(b"250 ok\r\n")
    assert conversation.receive(b"250 ok\r\n") == [Write(b"DATA\r\n")]
    [write] = conversation.receive(b"354 go\r\n")
    assert write.data == transmission().content
    assert verdict_of(conversation.receive(b"250 taken\r\n")).verdict is Verdict.ACCEPTED


def test_a_host_that_reads_the_chunk_as_commands_ends_the_connection_unsent():
    conversation = opened(CHUNKING)
    conversation.begin(transmission())
    conversation.receive(b"250 ok\r\n250 ok\r\n")
    events = conversation.receive(b"500 what\r\n500 From:?\r\n")
    assert verdict_of(events).verdict is Verdict.NOT_SENT
    assert isinstance(events[-1], Ended)


def test_bdat_unknown_while_a_long_chunk_is_written_says_nothing_about_the_message():
    conversation = opened(CHUNKING)
    conversation.begin(transmission(b"Subject: x\r\n\r\n" + b"a" * 200_000 + b"\r\n"))
    conversation.receive(b"250 ok\r\n250 ok\r\n")
    events = conversation.receive(b"500 5.5.1 what\r\n")
    assert verdict_of(events).verdict is Verdict.NOT_SENT
    assert conversation.refuses_chunks


def test_once_chunks_were_taken_503_is_the_answer_to_the_message():
    conversation = opened(CHUNKING)
    conversation.begin(transmission())
    conversation.receive(b"250 ok\r\n250 ok\r\n250 taken\r\n")
    conversation.begin(transmission())
    attempt = verdict_of(conversation.receive(b"250 ok\r\n250 ok\r\n503 5.5.1 no more\r\n"))
    assert attempt.verdict is Verdict.PERMANENT
    assert not conversation.refuses_chunks


@given(st.lists(st.sampled_from([b"\r\n", b"..", b".", b"a"]), max_size=12).map(b"".join))
def test_a_chunk_has_the_message_as_it_was(message):
    command, octets = transmission(message).chunk
    assert command == b"BDAT %d LAST\r\n" % len(octets)
    assert octets == (message if message.endswith(b"\r\n") or not message else message + b"\r\n")


@given(st.lists(st.one_of(st.binary(max_size=40), REPLY, st.just(CHUNKING)), max_size=40), st.integers(0, 5))
def test_whatever_is_heard_chunks_have_at_most_one_outcome_each(chunks, followers):
    conversation = opened(CHUNKING)
    begun = done = 0

    def follower():
        nonlocal begun, followers
        if not followers:
            return None
        followers, begun = followers - 1, begun + 1
        return transmission()

    for chunk in [b"", *chunks]:
        done += sum(isinstance(event, Done) for event in conversation.receive(chunk))
        assert done <= begun
        if conversation.is_ready:
            assert done == begun
            begun += 1
            done += sum(isinstance(event, Done) for event in conversation.begin(transmission(), follower))
    done += conversation.lost("end") is not None
    assert begun - 1 <= done <= begun
