"""What the machine can do, measured in the same run as everything else, and what a process has used of it."""

import os
import platform
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256

# What lies beside a benchmark must not hide the product: ``tracking.py`` here is no package.
_HERE = str(Path(__file__).parent)
sys.path[:] = [place for place in sys.path if Path(place or ".").resolve() != Path(_HERE)] + [_HERE]

from dns_checks.dkim.multi_buffer import LANES, LaneKey, MultiBuffer, find_multi_buffer  # noqa: E402

_KEY = rsa.generate_private_key(65537, 2048)
_LANE_KEY, _FOUND = LaneKey.of(_KEY), find_multi_buffer()
assert _LANE_KEY is not None
_LIBRARY = _FOUND if isinstance(_FOUND, MultiBuffer) else None
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Used:
    """CPU seconds and the largest resident memory (MB) of a process so far."""

    cpu: float
    memory: float


def used(pid: int) -> Used:
    """From ``/proc``."""
    fields = Path(f"/proc/{pid}/stat").read_text("ascii", "replace").rpartition(")")[2].split()
    status = Path(f"/proc/{pid}/status").read_text("ascii", "replace")
    peak = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
    return Used((int(fields[11]) + int(fields[12])) / _TICKS, peak / 1024)


def rsa_rate(threads: int, seconds: float = 1.0) -> float:
    """RSA-2048 signatures a second by ``cryptography``, all threads together: the physical limit of signed mail."""
    key = rsa.generate_private_key(65537, 2048)
    padding, algorithm, octets = PKCS1v15(), SHA256(), b"x" * 2000
    counts = [0] * threads
    end = time.perf_counter() + seconds

    def sign(number: int) -> None:
        while time.perf_counter() < end:
            key.sign(octets, padding, algorithm)
            counts[number] += 1

    begun = time.perf_counter()
    workers = [threading.Thread(target=sign, args=(number,)) for number in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return sum(counts) / (time.perf_counter() - begun)


def multi_buffer_rate(seconds: float = 1.0) -> float | None:
    """RSA-2048 signatures a second by one thread eight at a time; ``None`` where that cannot be done here."""
    if _LIBRARY is None:
        return None
    done, begun = 0, time.perf_counter()
    while time.perf_counter() - begun < seconds:
        _sign_eight(_LIBRARY)
        done += LANES
    return done / (time.perf_counter() - begun)


def rsa_cpu() -> float:
    """CPU seconds of one RSA-2048 signature as the product makes it, whatever else the processors are doing."""
    begun = time.thread_time()
    if _LIBRARY is not None:
        _sign_eight(_LIBRARY)
    else:
        for _ in range(LANES):
            _KEY.sign(b"x" * 2000, PKCS1v15(), SHA256())
    return (time.thread_time() - begun) / LANES


def _sign_eight(library: MultiBuffer) -> None:
    library.sign([_LANE_KEY] * LANES, [bytes(32)] * LANES)


def fsync_rate(folder: Path, seconds: float = 1.0) -> float:
    """4 KB appended and synced to disk, times a second: the limit of durable commits."""
    file = folder / "fsync"
    done, begun = 0, time.perf_counter()
    with file.open("wb", buffering=0) as stream:
        while time.perf_counter() - begun < seconds:
            stream.write(b"x" * 4096)
            os.fsync(stream.fileno())
            done += 1
        passed = time.perf_counter() - begun
    file.unlink()
    return done / passed


def describe() -> dict[str, object]:
    """The machine in words."""
    lines = Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines()
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    flags = next((line.split() for line in lines if line.startswith("flags")), [])
    return {
        "cpu": model or platform.machine(),
        "cores": os.cpu_count(),
        "avx512_ifma": "avx512ifma" in flags,
        "python": platform.python_version(),
        "kernel": platform.release(),
    }
