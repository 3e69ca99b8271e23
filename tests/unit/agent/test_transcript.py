"""A transcript tells what happened, whatever cut it, and holds no key."""

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from agent.errors import BadTranscript
from agent.events import Stage
from agent.sessions.resume import listing, show
from agent.transcript.event_entries import from_entry, to_entry
from agent.transcript.file import Transcript, new_id
from agent.transcript.reading import FORMAT, VERSION, Header, read, read_header
from tools.events import Event, Progress, Table
from tools.observe.signal import Detection, Signal, Source


def header(**changes: object) -> Header:
    fields = {"id": "s1", "made": time.time(), "operator": "0", "driver": "playbook", "model": None}
    return Header(**{**fields, **changes})  # type: ignore[arg-type]


def write(folder: Path, *entries: dict[str, object]) -> Path:
    transcript = Transcript.create(folder, header())
    for entry in entries:
        transcript.record(entry)
    transcript.close()
    return transcript.path


def test_what_was_recorded_is_read_back_in_order(tmp_path: Path) -> None:
    path = write(tmp_path, {"type": "user", "text": "häl\nlo"}, {"type": "call", "id": "c1", "tool": "x"})

    entries = list(read(path))

    assert [(entry.line, entry.type) for entry in entries] == [(2, "user"), (3, "call")]
    assert entries[0].data["text"] == "häl\nlo"
    assert 0 <= entries[0].t <= entries[1].t < 5


def test_only_the_owner_may_read_it(tmp_path: Path) -> None:
    assert write(tmp_path).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("cut", [1, 2, 10, 40])
def test_a_torn_last_line_is_left_out(tmp_path: Path, cut: int) -> None:
    path = write(tmp_path, {"type": "user", "text": "first"}, {"type": "user", "text": "second" * 10})
    whole = path.read_bytes()
    path.write_bytes(whole[: -cut - 1])

    assert [entry.data["text"] for entry in read(path)] == ["first"]


CALL = {"type": "tool_use", "id": "c", "name": "x"}
DAMAGE = (
    b'{"type":"us\n',
    b"\0" * 4096 + b"\n",
    b"[" * 100_000 + b"\n",
    b'{"type":"user","text":7}\n',
    b'{"type":"assistant","content":{"a":1}}\n',
    b'{"type":"assistant","content":[{"type":"text"}]}\n',
    b'{"type":"call","id":null}\n',
    b'{"type":"outcome","id":"c","data":"x"}\n',
    b'{"type":"system","kind":"compaction","messages":[{"role":"root","content":[]}]}\n',
    b'{"type":7}\n',
    b"\xff\xfe\n",
)


@pytest.mark.parametrize("damage", DAMAGE, ids=lambda damage: damage[:30].decode("latin-1"))
def test_damage_in_the_middle_costs_only_its_own_line(tmp_path: Path, damage: bytes) -> None:
    path = write(tmp_path, {"type": "user", "text": "first"}, {"type": "user", "text": "second"})
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + lines[1] + damage + lines[2])
    damaged: list[int] = []

    assert [entry.data["text"] for entry in read(path, damaged.append)] == ["first", "second"]
    assert damaged == [3]


def test_nuls_before_a_line_do_not_cost_it(tmp_path: Path) -> None:
    path = write(tmp_path, {"type": "user", "text": "first"})
    head, first = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(head + b"\0" * 512 + first)

    assert [entry.data["text"] for entry in read(path)] == ["first"]


@pytest.mark.parametrize("made", ["null", '"yesterday"', "NaN", "1e20", "-5", "9" * 400, "[1]", "true"])
@pytest.mark.parametrize("t", ["null", '"x"', "9" * 400, "-1", "1e300", "{}"])
def test_strange_times_in_one_session_hide_no_other(tmp_path: Path, made: str, t: str) -> None:
    good = write(tmp_path, {"type": "user", "text": "the good one"})
    odd = tmp_path / "20260101-odd.jsonl"
    head = f'{{"format":"{FORMAT}","version":1,"id":"20260101-odd","made":{made},"driver":7,"model":["x"]}}\n'
    odd.write_text(head + f'{{"type":"user","text":"the odd one","t":{t}}}\n')
    (tmp_path / "20260102-none.jsonl").write_bytes(b"\0" * 9000)
    (tmp_path / "20260103-folder.jsonl").mkdir()

    rows = {row[0]: row[3] for row in listing(tmp_path).rows}
    assert (rows[good.stem if good.stem in rows else "s1"], rows["20260101-odd"]) == (
        "the good one",
        "the odd one",
    )
    assert "the odd one" in show(tmp_path, "20260101-odd")


def full(path: Path, header_bytes: int) -> None:
    """Run in a child: write to a transcript whose file may not grow beyond a limit, which is then lifted."""
    told: list[str] = []
    transcript = Transcript.create(path, header())
    transcript.report(told.append)
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (transcript.path.stat().st_size + header_bytes, limit[1]))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    for number in range(5):
        transcript.record({"type": "user", "text": f"lost {number} " + "x" * 100})
    resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    transcript.record({"type": "user", "text": "there is room again"})
    transcript.close()
    assert len(told) == 1, told
    assert "not recorded any more" in told[0]
    os._exit(0)


@pytest.mark.parametrize("room", [0, 40, 200])
def test_a_full_disk_is_reported_once_and_what_follows_is_whole(tmp_path: Path, room: int) -> None:
    child = os.fork()
    if child == 0:
        try:
            full(tmp_path, room)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0

    texts = [entry.data["text"] for entry in read(tmp_path / "s1.jsonl")]
    assert texts[-1] == "there is room again"


def test_a_folder_that_takes_no_file_ends_no_session(tmp_path: Path) -> None:
    told: list[str] = []
    transcript = Transcript.create(tmp_path / "missing", header())
    transcript.report(told.append)
    transcript.record({"type": "user", "text": "Hi"})
    transcript.close()

    assert len(told) == 1


def test_a_newer_version_is_refused_and_says_what_to_do(tmp_path: Path) -> None:
    path = write(tmp_path)
    path.write_text(path.read_text().replace(f'"version":{VERSION}', f'"version":{VERSION + 1}'))

    with pytest.raises(BadTranscript, match="Update operator"):
        read_header(path)


@pytest.mark.parametrize("made", [5.0, 4_102_444_800.0], ids=["1970", "2100"])
def test_a_session_has_the_date_of_the_clock_that_it_was_made_by(tmp_path: Path, made: float) -> None:
    Transcript.create(tmp_path, header(made=made)).close()

    assert read_header(tmp_path / "s1.jsonl").made == made


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"hello\n", b'{"type":"user"}\n', b"[]\n", b"\xff\xfe\x00\n"]
)
def test_a_file_that_is_no_transcript_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(content)

    with pytest.raises(BadTranscript, match="no transcript"):
        list(read(path))


def test_a_missing_file_and_a_folder_are_told(tmp_path: Path) -> None:
    with pytest.raises(BadTranscript, match="No such file"):
        read_header(tmp_path / "none.jsonl")
    with pytest.raises(BadTranscript, match="directory"):
        read_header(tmp_path)


@pytest.mark.parametrize(
    "tail", [b'{"type":"user","te', b'{"type":"user","t":9,"text":"whole, without an end"}']
)
def test_a_reopened_transcript_goes_on_after_a_crash(tmp_path: Path, tail: bytes) -> None:
    path = write(tmp_path, {"type": "user", "text": "first"})
    with path.open("ab") as file:
        file.write(tail)

    transcript = Transcript.reopen(path)
    transcript.record({"type": "user", "text": "next day"})
    transcript.close()

    texts = [entry.data["text"] for entry in read(path) if entry.type == "user"]
    assert texts[0] == "first"
    assert texts[-1] == "next day"
    assert ("whole, without an end" in texts) == tail.endswith(b"}")


def test_one_process_at_a_time_holds_a_transcript(tmp_path: Path) -> None:
    first = Transcript.create(tmp_path, header())

    with pytest.raises(BadTranscript, match="open in another operator"):
        Transcript.reopen(first.path)
    first.close()
    Transcript.reopen(first.path).close()


def test_a_killed_process_leaves_all_that_it_recorded(tmp_path: Path) -> None:
    program = f"""
import time
from pathlib import Path
from agent.transcript.file import Transcript
from agent.transcript.reading import Header
transcript = Transcript.create(Path({str(tmp_path)!r}), Header("s1", time.time(), "0", "playbook", None))
for n in range(500):
    transcript.record({{"type": "user", "text": str(n)}})
print("written", flush=True)
time.sleep(60)
"""
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    process.wait(60)
    process.stdout.close()

    assert len(list(read(tmp_path / "s1.jsonl"))) == 500


SECRETS = [
    "my key is sk-ant-api03-AbCdEf0123456789_-xyz",
    "Authorization: Bearer abcdefghijklmnop123456",
    '{"headers": {"x-api-key": "verysecretvalue"}}',
    "http://root:verysecretvalue@127.0.0.1:2379/v3",
    "ETCD password=verysecretvalue; next",
    '{\\"api_key\\": \\"verysecretvalue\\"}',
    "-----BEGIN EC PRIVATE KEY-----\nverysecretvalue\n-----END EC PRIVATE KEY-----",
]


@pytest.mark.parametrize("text", SECRETS)
def test_no_key_gets_into_a_transcript(tmp_path: Path, text: str) -> None:
    path = write(
        tmp_path,
        {"type": "user", "text": text},
        {"type": "assistant", "content": [{**CALL, "input": {"deep": [text]}}]},
    )

    written = path.read_text()
    for secret in ("sk-ant-api03", "abcdefghijklmnop123456", "verysecretvalue"):
        assert secret not in written
    assert "[scrubbed]" in written
    assert len(list(read(path))) == 2


def test_the_key_in_use_is_known_whatever_it_looks_like(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "oddly shaped key")

    path = write(tmp_path, {"type": "user", "text": "it is: oddly shaped key."})

    assert "oddly shaped key" not in path.read_text()


def test_ids_are_fresh() -> None:
    assert len({new_id() for _ in range(50)}) > 40


@pytest.mark.parametrize(
    "event",
    [
        Stage(3, 7, "kill", ok=True, elapsed_s=0.5),
        Progress("Waiting for detection", 2.0, 30.0),
        Detection(
            "etcd-2 is gone", ("etcd-2",), "I1", 0.04, (Signal(Source.PROCESS, "exit", "etcd-2", "exited"),)
        ),
        Table("Nodes", ("name",), (("etcd-1",), ("etcd-2",))),
    ],
)
def test_an_event_comes_back_from_a_transcript_as_it_was(tmp_path: Path, event: Event) -> None:
    entry = to_entry(event)
    assert entry is not None

    path = write(tmp_path, entry)

    assert [from_entry(found.data) for found in read(path)] == [event]


def test_an_event_that_this_version_does_not_know_is_passed_over() -> None:
    assert from_entry({"name": "Hologram", "event": {}}) is None
    assert from_entry({"name": "Stage", "event": {"n": "many"}}) is None


def test_what_a_run_appends_is_one_line_each_even_for_odd_text(tmp_path: Path) -> None:
    path = write(tmp_path, {"type": "user", "text": "a\u2028b\ud800c\x00"})

    assert len(path.read_bytes().splitlines()) == 2
    assert os.linesep.encode() in path.read_bytes()
