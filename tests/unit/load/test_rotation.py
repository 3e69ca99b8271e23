"""An endpoint that is gone is passed over at once, and found again."""

from subjects.rotation import REST_S, SILENT_S, Rotation


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def rotation() -> tuple[Rotation, Clock]:
    clock = Clock()
    return Rotation(["a", "b", "c"], clock), clock


def first(endpoints: Rotation, times: int, *, trial: bool = False) -> list[str]:
    return [endpoints.order(trial=trial)[0] for _ in range(times)]


def test_endpoints_take_turns() -> None:
    endpoints, _ = rotation()

    assert first(endpoints, 6) == ["a", "b", "c", "a", "b", "c"]


def test_one_that_failed_is_last_until_it_has_answered() -> None:
    endpoints, clock = rotation()
    endpoints.asked("b")
    endpoints.failed("b")
    clock.now += 10 * REST_S

    assert "b" not in first(endpoints, 6)
    assert endpoints.order(trial=False)[-1] == "b"

    endpoints.asked("b")
    endpoints.answered("b")

    assert "b" in first(endpoints, 3)


def test_one_operation_that_may_be_repeated_tries_it_after_each_rest() -> None:
    endpoints, clock = rotation()
    endpoints.asked("b")
    endpoints.failed("b")

    assert "b" not in first(endpoints, 5, trial=True)

    clock.now += REST_S

    assert first(endpoints, 5, trial=True).count("b") == 1


def test_one_that_owes_answers_and_gives_none_is_passed_over_before_its_deadline() -> None:
    endpoints, clock = rotation()
    for url in ("a", "b"):
        endpoints.asked(url)
    clock.now += SILENT_S / 2
    endpoints.asked("a")
    endpoints.answered("a")
    clock.now += SILENT_S * 0.75

    assert set(first(endpoints, 6)) == {"a", "c"}


def test_silence_without_a_question_is_no_fault() -> None:
    endpoints, clock = rotation()
    clock.now += 1000

    assert set(first(endpoints, 3)) == {"a", "b", "c"}


def test_when_all_have_failed_all_are_still_tried() -> None:
    endpoints, _ = rotation()
    for url in "abc":
        endpoints.asked(url)
        endpoints.failed(url)

    assert sorted(endpoints.order(trial=False)) == ["a", "b", "c"]


def test_what_we_gave_up_ourselves_says_nothing_of_the_endpoint() -> None:
    endpoints, clock = rotation()
    endpoints.asked("a")
    endpoints.dropped("a")
    clock.now += 1000

    assert set(first(endpoints, 3)) == {"a", "b", "c"}
