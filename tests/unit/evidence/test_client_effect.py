"""What clients felt over a span, counted from the windows of the load."""

from tools.evidence.chronicle import Span, client_effect
from tools.observe.figures import OperationFigures, Window


def window(at: float, operations: int, errors: int = 0, p99_ms: float = 5.0) -> Window:
    figures = OperationFigures(operations, errors, 0, 1.0, 2.0, p99_ms, p99_ms)
    return Window(0, at, at, 1.0, operations, errors, 0, {"all": figures})


def test_how_long_clients_were_affected_is_counted_from_the_windows_of_the_span() -> None:
    windows = [window(n, 300) for n in range(5)]
    windows += [window(5, 10, errors=7, p99_ms=900.0), window(6, 200, errors=2), window(7, 300)]
    windows += [window(100, 0, errors=99)]

    felt = client_effect(windows, Span(zero=5.0, from_s=-3, to_s=10))

    assert felt["seconds_with_errors"] == 2
    assert (felt["first_error_seconds"], felt["last_error_seconds"]) == (-1.0, 1.0)
    assert (felt["errors"], felt["fewest_ops"], felt["worst_p99_ms"]) == (9, 10, 900.0)


def test_without_a_window_nothing_is_claimed() -> None:
    felt = client_effect([], Span(0, 0, 1))

    assert (felt["fewest_ops"], felt["worst_p99_ms"], felt["first_error_seconds"]) == (None, None, None)
