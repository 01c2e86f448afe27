"""How many processors this process may use: fewer than the machine has, where a container or a scheduler says so."""

import os
from pathlib import Path

_GROUPS = Path("/sys/fs/cgroup")


def processors() -> int:
    """Those that the process may run on, or the share of time that its control group (v2, v1) is given; at least 1."""
    may = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([may, *(int(share) for share in _shares())]))


def _shares(root: Path = _GROUPS, own: Path = Path("/proc/self/cgroup")) -> list[float]:
    """Processors' worth of time granted to the groups that this process is in, and to those around them."""
    found = []
    for folder in _folders(root, own):
        for names in (("cpu.max",), ("cpu.cfs_quota_us", "cpu.cfs_period_us")):
            try:
                quota, period = " ".join((folder / name).read_text() for name in names).split()
                if float(period) > 0 and quota not in ("max", "-1"):
                    found.append(float(quota) / float(period))
            except (OSError, ValueError):  # no such limit here
                continue
    return found


def _folders(root: Path, own: Path) -> list[Path]:
    """Of v2 and of v1's processor controller: a container sees its own group as the root."""
    try:
        lines = [line.split(":", 2) for line in own.read_text().splitlines()]
    except OSError:
        return []
    out = []
    for _, kinds, place in lines:
        if kinds == "" or "cpu" in kinds.split(","):
            group = Path(place.lstrip("/"))
            top = root / kinds if kinds else root
            out += [top / part for part in (group, *group.parents)]
    return out
