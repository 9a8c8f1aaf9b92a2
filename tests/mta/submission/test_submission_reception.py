from hypothesis import given
from hypothesis import strategies as st

from mta.submission.faults import ContentSyntaxError
from mta.submission.limits import OctetBudget
from mta.submission.reception import MessageReception, checked_content

LINES = st.lists(st.sampled_from([b"", b".", b"..", b".a", b"a", b"a.", b"abc"]), max_size=8)


def plainly(octets):
    """The slow and simple way: line by line."""
    content, rest = [], octets
    while rest:
        line, _, rest = rest.partition(b"\r\n")
        if line == b".":
            return b"".join(content), rest
        content.append(line + b"\r\n")
    return None


@given(LINES, st.lists(st.integers(1, 6), min_size=1))
def test_the_end_is_found_however_the_octets_come(lines, sizes):
    octets = b"".join(line + b"\r\n" for line in lines)
    budget = OctetBudget(1000)
    reception = MessageReception(500, budget)
    at, piece, rest = 0, 0, None
    while at < len(octets) and rest is None:
        size = sizes[piece % len(sizes)]
        rest = reception.feed(octets[at : at + size])
        at, piece = at + size, piece + 1
    expected = plainly(octets)
    if expected is None:
        assert rest is None
        assert reception.take() == octets
    else:
        content, behind = expected
        assert rest is not None
        assert rest + octets[at:] == behind
        assert reception.octets == len(content)
        assert reception.take() == content
    reception.release()
    assert budget.left == 1000


@given(LINES, st.integers(1, 30), st.integers(1, 30))
def test_limits_hold_and_the_end_is_still_found(lines, limit, octets_in_flight):
    octets = b"".join(b"." + line + b"x\r\n" for line in lines) + b".\r\nNOOP\r\n"
    budget = OctetBudget(octets_in_flight)
    reception = MessageReception(limit, budget)
    for at in range(len(octets)):
        rest = reception.feed(octets[at : at + 1])
        assert 0 <= budget.left <= octets_in_flight
        if rest is not None:
            assert rest + octets[at + 1 :] == b"NOOP\r\n"
            break
    else:
        raise AssertionError("no end")
    reception.release()
    assert budget.left == octets_in_flight


@given(st.lists(st.tuples(st.sampled_from([b"x", b".", b"\0"]), st.integers(0, 1005)), max_size=5))
def test_lines_are_bounded_as_a_plain_reading_says(pieces):
    lines = [octet * count for octet, count in pieces]
    received = b"".join((b"." if line.startswith(b".") else b"") + line + b"\r\n" for line in lines)
    is_sound = all(len(line) <= 998 and b"\0" not in line for line in lines)
    try:
        content = checked_content(received)
    except ContentSyntaxError:
        assert not is_sound
    else:
        assert is_sound
        assert content == b"".join(line + b"\r\n" for line in lines)
