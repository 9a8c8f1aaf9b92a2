from mta.delivery import NEXT_STATE, TERMINAL, DeliveryState, Happening, next_state, states_before


def reachable(start: DeliveryState) -> set[DeliveryState]:
    seen, found = set(), {start}
    while found - seen:
        state = (found - seen).pop()
        seen.add(state)
        found |= {after for (before, _), after in NEXT_STATE.items() if before is state}
    return seen


def test_the_terminal_states_are_the_ones_meant():
    assert {"delivered", "failed", "expired", "suppressed", "cancelled"} == TERMINAL


def test_every_other_state_reaches_a_terminal_one_and_can_be_reached():
    for state in set(DeliveryState) - TERMINAL:
        assert reachable(state) & TERMINAL
        assert state in reachable(DeliveryState.HELD)


def test_what_may_be_on_the_wire_is_never_called_unsent_without_a_word():
    # From transmitting only the worker's own word or ambiguity leads on; no suppression or lapse of a lease.
    exits = {happening for state, happening in NEXT_STATE if state is DeliveryState.TRANSMITTING}
    assert exits == {"accepted", "transient", "permanent", "not_sent", "unknown"}


def test_ambiguous_takes_every_outcome_of_transmitting():
    for happening in (Happening.ACCEPTED, Happening.TRANSIENT, Happening.PERMANENT, Happening.NOT_SENT):
        assert next_state(DeliveryState.AMBIGUOUS, happening) is next_state(DeliveryState.TRANSMITTING, happening)


def test_states_before_agrees_with_the_table():
    for happening in Happening:
        assert set(states_before(happening)) == {state for state, what in NEXT_STATE if what is happening}
