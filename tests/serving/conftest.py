"""The demo's stage with a list of a dozen people (or as many as asked for), for tests of the running application."""

import csv
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from postwright.demo.main_job import MainJob
from postwright.demo.stage import Pace, Stage
from postwright.sandbox.mailboxes import Mailboxes
from postwright.sandbox.ports import free_ports

EXAMPLES = Path(__file__).parents[2] / "examples"
PACE = Pace(greylist_delay=timedelta(seconds=1), retry_first=timedelta(seconds=1), lease=timedelta(seconds=5))


class Theatre:
    """A stage and the job on it."""

    def __init__(self, folder: Path, people: int) -> None:
        examples = _examples(folder / "examples", people)
        self.stage = Stage.set_up(folder / "stage", *free_ports(1), PACE)
        self.job = MainJob(self.stage, examples)
        self.mailboxes = Mailboxes(self.stage.layout.mailboxes_path)

    @property
    def config(self) -> Path:
        return self.stage.folder / "postwright.toml"

    def begin_sending(self) -> str:
        """Do the main job up to the send; returns the campaign's id."""
        self.job.verify_domain()
        self.job.import_contacts()
        campaign = self.job.create_campaign()
        self.job.send(campaign)
        return campaign

    @staticmethod
    def wait_until(condition: Callable[[], object], seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "this did not happen in time"
            time.sleep(0.01)


@contextmanager
def _theatre(folder: Path, people: int) -> Iterator[Theatre]:
    here = Theatre(folder, people)
    try:
        yield here
    finally:
        here.job.close()
        here.stage.__exit__()


@pytest.fixture(scope="module")
def sent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Theatre]:
    """Twelve people have the newsletter."""
    with _theatre(tmp_path_factory.mktemp("sent"), 12) as here:
        campaign = here.begin_sending()
        assert here.job.watch(campaign, lambda _: None).by_state == {"delivered": 12}
        yield here


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Theatre]:
    """Nothing has been sent yet; there are ninety people on the list."""
    with _theatre(tmp_path_factory.mktemp("running"), 90) as here:
        yield here


def _examples(folder: Path, people: int) -> Path:
    folder.mkdir()
    shutil.copy(EXAMPLES / "newsletter.mjml", folder)
    (folder / "suppressions.csv").write_text("email,reason\n")
    domains = ("mailhub.test", "doar.test", "postbox.test")
    with (folder / "contacts.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("email", "first_name", "last_name", "city", "language", "plan"))
        for number in range(people):
            address = f"reader{number}@{domains[number % 3]}"
            rows.writerow((address, f"Reader {number}", "", "Haifa", "he" if number % 2 else "en", "gardener"))
    return folder
