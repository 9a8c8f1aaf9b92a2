"""What the frame of a template's page gets: the mail's own dark rules, a marked place, nothing that could run."""

from hypothesis import given, settings
from hypothesis import strategies as st

from postwright.web.mail_frames import MARK_ID, FrameWish, framed

DARK = (
    "<html><head><style>@media (prefers-color-scheme: dark){p{color:#fff}}</style></head><body><p>x</p></body></html>"
)


def test_the_mails_dark_rules_hold_when_dark_is_asked_for_and_only_then() -> None:
    assert "(min-width: 0px){p{" in framed(DARK, "", FrameWish(dark=True))
    assert "(max-width: 0px){p{" in framed(DARK, "", FrameWish())
    assert "prefers-color-scheme" not in framed(DARK, "", FrameWish(dark=True))


def test_a_place_is_marked_and_can_be_led_to() -> None:
    html = '<body><p data-pw-at="1">a</p><td class="x pw-at-12 y">b</td></body>'
    by_attribute = framed(html, "", FrameWish(mark=1))
    assert f'<p id="{MARK_ID}" data-pw-at="1">' in by_attribute
    assert '[data-pw-at="1"],.pw-at-1{' in by_attribute
    assert f'<td id="{MARK_ID}" class="x pw-at-12 y">' in framed(html, "", FrameWish(mark=12))
    assert MARK_ID not in framed(html, "", FrameWish(mark=7))


def test_texts_are_shown_as_texts() -> None:
    hostile = "<script>alert(1)</script>"
    for view in ("text", "source"):
        shown = framed(hostile, hostile, FrameWish(view=view))
        assert "<script" not in shown
        assert "&lt;script&gt;" in shown


def test_the_policy_lets_nothing_run_and_pictures_only_by_choice() -> None:
    for images in (False, True):
        policy = FrameWish(images=images).policy
        assert policy.startswith("sandbox; default-src 'none'")
        assert "script" not in policy
        assert ("https:" in policy) is images


@given(st.text(alphabet='<>/bodypw-at"=1 ', max_size=60), st.integers(0, 3))
@settings(max_examples=200, deadline=None)
def test_nothing_of_a_mail_is_lost_by_marking(html: str, mark: int) -> None:
    shown = framed(html, "", FrameWish(mark=mark))
    assert len(shown) >= len(html)
