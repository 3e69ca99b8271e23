"""Why a program says that it ended."""

from tools.cluster.last_words import last_words

ETCD = (
    '{"level":"info","ts":"2026-11-22T23:39:51.137Z","msg":"closed"}',
    '{"level":"panic","ts":"2026-11-22T23:39:51.138Z","caller":"etcdserver/raft.go:433",'
    '"msg":"failed to create WAL","error":"no space left on device","stacktrace":"go.etcd.io"}',
    "panic: failed to create WAL",
    "goroutine 1 [running]:",
    "\tetcd/server/main.go:32 +0x45",
)


def test_the_reason_is_told_and_not_the_foot_of_the_stack_trace() -> None:
    assert last_words(ETCD) == "failed to create WAL: no space left on device"


def test_a_panic_without_a_structured_line_is_told_as_it_is() -> None:
    assert last_words(("begins", "panic: out of luck", "\tmain.go:1 +0x1")) == "panic: out of luck"


def test_tikv_s_own_word_for_it_is_found() -> None:
    fatal = '[2026/11/22 23:39:51.138 +00:00] [FATAL] [server.rs:1] ["failed to open raft engine"]'

    assert last_words(("one", fatal, "two")) == fatal


def test_otherwise_it_is_the_last_line() -> None:
    assert last_words(("one", "two ")) == "two"
    assert last_words(()) == ""
