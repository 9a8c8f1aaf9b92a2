"""The client generated from the API's description: current, typed, and at work on a running install."""

import importlib.util
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"


@pytest.fixture(scope="module")
def module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("postwright_client", EXAMPLES / "postwright_client.py")
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    sys.modules["postwright_client"] = loaded  # where its annotations are looked up
    spec.loader.exec_module(loaded)
    return loaded


@pytest.fixture
def client(module: ModuleType, install: Any) -> Iterator[Any]:
    with module.Client(install.url, install.key) as one:
        yield one


def test_it_is_current() -> None:
    script = ROOT / "scripts" / "generate_client.py"
    done = subprocess.run([sys.executable, str(script), "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_it_is_typed(tmp_path: Path) -> None:
    use = tmp_path / "use.py"
    use.write_text(
        "from postwright_client import Client\n"
        "def use(client: Client) -> None:\n"
        "    good = client.send_message({'from': 'a@b.test', 'to': ['c@d.test'], 'subject': 'x', 'text': 'y'})\n"
        "    print(good['refused'][0]['reason'].upper())\n"
        "    client.send_message({'from': 'a@b.test', 'subjekt': 'x'})  # line 5\n"
        "    print(good['identity'])  # line 6\n"
        "    client.list_messages(state='lost')  # line 7\n"
    )
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", f"--cache-dir={tmp_path / 'cache'}"]
    done = subprocess.run(
        [*command, str(use), str(EXAMPLES / "postwright_client.py"), str(EXAMPLES / "send_orders.py")],
        capture_output=True, text=True, check=False, env={"MYPYPATH": str(EXAMPLES), "PATH": ""}, cwd=tmp_path,
    )  # fmt: skip
    faults = [line for line in done.stdout.splitlines() if ": error: " in line]
    lines = {line.split(":")[1] for line in faults}
    assert lines == {"5", "6", "7"}, done.stdout + done.stderr
    assert all(line.split(":")[0].endswith("use.py") for line in faults), faults


def test_one_message(client: Any, install: Any) -> None:
    body = {
        "from": f"Acme Garden <{install.sender}>",
        "to": ["client.one@mailhub.test", {"address": "client.two@mailhub.test", "name": "Two"}],
        "subject": "Your order",
        "html": "<p>It has left.</p>",
        "metadata": {"order": 42},
    }
    answer = client.send_message(body, idempotency_key="client-1")
    assert client.send_message(body, idempotency_key="client-1") == answer
    assert [one["address"] for one in answer["messages"]] == ["client.one@mailhub.test", "client.two@mailhub.test"]
    assert install.received("client.two@mailhub.test")["Subject"] == "Your order"
    shown = client.get_message(answer["messages"][0]["id"])
    assert (shown["address"], shown["metadata"]) == ("client.one@mailhub.test", {"order": 42})


def test_what_is_refused_is_said(client: Any, module: ModuleType, install: Any) -> None:
    with pytest.raises(module.ApiError) as refused:
        client.send_message({"from": "a@elsewhere.test", "to": ["x@mailhub.test"], "subject": "x", "text": "y"})
    assert refused.value.status == 422
    assert refused.value.errors[0]["next_step"]
    with pytest.raises(module.ApiError) as forbidden:
        client.create_key({"name": "mine", "scopes": ["admin"]})
    assert forbidden.value.status == 403
    batch = client.send_batch(
        {
            "messages": [
                {"from": install.sender, "to": ["client.batch@mailhub.test"], "subject": "x", "text": "y"},
                {"from": install.sender, "to": ["nobody"], "subject": "x", "text": "y"},
            ]
        }
    )
    assert [one["index"] for one in batch["accepted"]] == [0]
    assert [one["index"] for one in batch["refused"]] == [1]


def test_the_example(install: Any) -> None:
    admin = install.stage.notes.api_key
    said = install.run(sys.executable, str(EXAMPLES / "send_orders.py"), install.url, POSTWRIGHT_KEY=admin)
    assert "3 read, 3 new, 0 refused" in said
    assert "accepted so far" in said
    assert install.received("ruth@mailhub.test")["Subject"] == "Your order 41"
    assert install.received("hugo@mailhub.test")["Subject"] == "4 offers for you"
    again = install.run(sys.executable, str(EXAMPLES / "send_orders.py"), install.url, POSTWRIGHT_KEY=admin)
    assert again.splitlines()[:2] == said.splitlines()[:2]  # the same receipts, not two more


@pytest.fixture
def patient(module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[..., Any]], Any]:
    """A client of a server that is a function, and that does not really wait."""
    monkeypatch.setattr(module.time, "sleep", lambda seconds: None)
    return lambda handler: module.Client("http://test", "pw_live_x", transport=httpx.MockTransport(handler))


def test_a_cut_is_tried_again_under_the_same_key(patient: Callable[..., Any]) -> None:
    keys: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        keys.append(request.headers["Idempotency-Key"])
        if len(keys) == 1:
            raise httpx.ReadError("cut off")
        if len(keys) == 2:
            return httpx.Response(503, headers={"Retry-After": "1"}, json={"title": "Busy"})
        return httpx.Response(202, json={"id": "sub_1", "messages": [], "refused": []})

    with patient(answer) as client:
        assert client.send_message({"from": "a@b.test", "subject": "x", "text": "y"})["id"] == "sub_1"
    assert len(keys) == 3
    assert len(set(keys)) == 1


def test_what_may_not_be_repeated_is_not(patient: Callable[..., Any]) -> None:
    tries = []

    def answer(request: httpx.Request) -> httpx.Response:
        tries.append(request)
        raise httpx.ReadError("cut off")

    with patient(answer) as client, pytest.raises(httpx.ReadError):
        client.create_key({"name": "shop", "scopes": ["send"]})
    assert len(tries) == 1


def test_a_stream_goes_on_behind_what_was_stored(patient: Callable[..., Any]) -> None:
    taken: list[int] = []

    def answer(request: httpx.Request) -> httpx.Response:
        lines = request.read().splitlines()
        taken.append(len(lines))
        if len(taken) == 1:
            return httpx.Response(200, stream=CutStream(b'{"offset":2,"accepted":2,"repeated":0,"refused":[]}\n'))
        return httpx.Response(200, content=b'{"offset":3,"accepted":3,"repeated":0,"refused":[]}\n')

    records = [{"address": f"{number}@b.test", "data": {}} for number in range(5)]
    with patient(answer) as client:
        offsets = [progress["offset"] for progress in client.stream_bulk_recipients("run_1", records)]
    assert taken == [5, 3]
    assert offsets == [2, 5]


class CutStream(httpx.SyncByteStream):
    def __init__(self, first: bytes) -> None:
        self._first = first

    def __iter__(self) -> Iterator[bytes]:
        yield self._first
        raise httpx.ReadError("cut off")
