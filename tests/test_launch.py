"""Do the launchers start what they say, and again where that helps? Clouds and schedulers are fakes on PATH."""

import os
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from folders import ROOT

LAUNCH = ROOT / "launch"
HOSTS = {
    "local.sh": (),
    "gpu.sh": (),
    "slurm.sh": ("--nodes", "2", "--partition", "fast"),
    "gke.sh": ("--image", "image:1", "--tpu", "tpu-v5-lite-podslice", "--topology", "4x4", "--spot"),
    "tpu_pod.sh": ("--accelerator", "v5litepod-16", "--spot"),
}
"""The launchers, each with flags of its own."""
RUN = ("configs/toy.py", "--dir", "gs://bucket/run", "--data.source", 'it\'s "one" $word; no more')
"""What every launcher must hand on as it is."""


def launch(name: str, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([LAUNCH / name, *args], env=os.environ | env, capture_output=True, text=True, timeout=30)


def fake(folder: Path, name: str, script: str) -> str:
    """A command that stands for another, with its folder as `$here`. Returns a PATH that finds it first."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(f'#!/usr/bin/env bash\nhere=$(dirname "$0")\n{script}\n')
    (folder / name).chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


def lines(file: Path) -> list[str]:
    return file.read_text().splitlines()


def test_shellcheck_finds_nothing() -> None:
    checker = shutil.which("shellcheck", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    assert checker, "shellcheck comes with the extra `test`"
    checked = subprocess.run([checker, "-x", *LAUNCH.glob("*.sh")], cwd=ROOT, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize("name", HOSTS)
def test_a_dry_run_shows_the_command_with_its_options_as_they_are(name: str) -> None:
    dry = launch(name, "--dry-run", *HOSTS[name], *RUN, COOPER="cooper")
    assert dry.returncode == 0 and not dry.stderr
    if name == "gke.sh":
        words = container(yaml.safe_load(dry.stdout))["command"]
    else:
        line = next(line for line in dry.stdout.splitlines() if "cooper train configs/toy.py" in line)
        words = shlex.split(line.removesuffix(" &"))
    if name == "tpu_pod.sh":  # For the shell of a worker, quoted once more.
        words = shlex.split(words[-1].removesuffix("; } 2>&1"))
    assert words[words.index("train") - 1].endswith("cooper")
    assert tuple(words[words.index("train") + 1 :]) == RUN


@pytest.mark.parametrize("name", HOSTS)
def test_help_and_flags_that_do_not_exist(name: str) -> None:
    assert f"launch/{name} [--dry-run]" in launch(name, "--help").stdout
    for args, said in (
        (("--nonsense", "x"), "--nonsense"),
        ((), "no CONFIG"),
        (("--program",), "--program needs a value"),
    ):
        refused = launch(name, "--dry-run", *args)
        assert refused.returncode == 2 and said in refused.stderr and refused.stderr.count("\n") == 1


def test_what_only_a_dry_run_may_lack() -> None:
    empty = {"CLOUDSDK_CORE_PROJECT": "", "CLOUDSDK_COMPUTE_ZONE": ""}
    shown = launch("tpu_pod.sh", "--dry-run", *RUN, **empty)
    assert shown.returncode == 0 and all(f"'<{what}>'" in shown.stdout for what in ("project", "zone"))
    for name, flag in (("tpu_pod.sh", "--project"), ("gke.sh", "--tpu")):
        refused = launch(name, *RUN, **empty)
        assert refused.returncode == 2 and refused.stderr == f"error: no {flag}; give {flag} <{flag[2:]}>\n"
    assert "gs://" in launch("gke.sh", "--dry-run", "configs/toy.py").stderr  # The warning of a directory on a disk.
    assert "9 chips" in launch("gke.sh", "--dry-run", "--tpu", "t", "--topology", "3x3", *RUN).stderr


# local.sh


def test_processes_know_their_place(tmp_path: Path) -> None:
    found = fake(tmp_path, "cooper", 'echo "$JAX_PROCESS_ID of $JAX_NUM_PROCESSES at $JAX_COORDINATOR_ADDRESS: $*"')
    ran = launch("local.sh", "--processes", "3", "--program", "export", "RUN", "--to", "a b", PATH=found, COOPER="")
    assert ran.returncode == 0, ran.stderr
    said = sorted(ran.stdout.splitlines())
    address = said[0].split()[4]
    assert said == [f"{f'[{i}] ' if i else ''}{i} of 3 at {address} export RUN --to a b" for i in range(3)]


def test_one_that_fails_ends_all_with_its_code(tmp_path: Path) -> None:
    found = fake(tmp_path, "cooper", "sleep 60 & ((JAX_PROCESS_ID == 1)) && exit 7; wait")
    ran = launch("local.sh", "configs/toy.py", PATH=found, COOPER="", COOPER_GRACE="1")
    assert ran.returncode == 7
    assert "process 1 ended with 7" in ran.stderr and "process 0 did not end" in ran.stderr


def test_a_signal_reaches_every_process_once(tmp_path: Path) -> None:
    script = "trap 'echo TERM; n=1' TERM; echo up; until [[ $n ]]; do sleep 0.05; done; sleep 0.3; exit 130"
    found = fake(tmp_path, "cooper", script)
    env = os.environ | {"PATH": found, "COOPER": ""}
    command = [LAUNCH / "local.sh", "configs/toy.py"]
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert sorted(process.stdout.readline() for _ in range(2)) == ["[1] up\n", "up\n"]
        process.send_signal(signal.SIGTERM)
        assert sorted(process.stdout.read().splitlines()) == ["TERM", "[1] TERM"]
    assert process.returncode == 130


# gpu.sh


@pytest.mark.parametrize(("codes", "last"), [("75 134 0", 0), ("1", 1), ("130", 130), ("75 75 75", 75)])
def test_a_gpu_host_starts_again_what_hung_or_crashed(tmp_path: Path, codes: str, last: int) -> None:
    script = f'set -- {codes}; n=$(cat "$here/n" 2>/dev/null || echo 0); echo $((++n)) >"$here/n"; exit ${{!n}}'
    fake(tmp_path / "bin", "cooper", script)
    ran = launch("gpu.sh", "--venv", str(tmp_path), "--restarts", "2", "configs/toy.py", COOPER_PAUSE="0")
    assert ran.returncode == last
    assert lines(tmp_path / "bin" / "n") == [str(len(codes.split()))]


def test_a_container_gets_the_gpus_and_no_secret_on_its_command_line(tmp_path: Path) -> None:
    found = fake(tmp_path, "docker", "")
    shown = launch(
        "gpu.sh", "--dry-run", "--container", "image:1", "--gpus", "0,1", "--env-file", "env", *RUN, PATH=found
    )
    words = shlex.split(shown.stdout)
    assert words[:3] == ["docker", "run", "--rm"] and words[words.index("--gpus") + 1] == '"device=0,1"'
    assert words[words.index("--env-file") + 1] == "env"
    assert words[words.index("image:1") + 1 :] == ["cooper", "train", *RUN]


# slurm.sh


def submitted(tmp_path: Path, *flags: str) -> Path:
    """The batch script that sbatch was given."""
    found = fake(tmp_path, "sbatch", 'cat >"$here/batch"')
    ran = launch("slurm.sh", *flags, *RUN, PATH=found, COOPER="cooper")
    assert ran.returncode == 0, ran.stderr
    return tmp_path / "batch"


def test_a_batch_job_asks_for_its_nodes(tmp_path: Path) -> None:
    asked = lines(
        submitted(tmp_path, "--nodes", "4", "--gpus-per-node", "2", "--time", "04:00:00", "--sbatch=--qos=low")
    )
    options = {line.removeprefix("#SBATCH ") for line in asked if line.startswith("#SBATCH")}
    assert {"--nodes=4", "--ntasks-per-node=1", "--gpus-per-node=2", "--time=04:00:00", "--qos=low"} <= options
    assert {"--requeue", "--open-mode=append", "--signal=TERM@120"} <= options
    assert "export JAX_LOCAL_DEVICE_IDS=0,1" in asked


@pytest.mark.parametrize(
    ("code", "restarts", "requeued"),
    [(0, 0, False), (1, 0, False), (2, 0, False), (75, 0, True), (130, 0, True), (134, 99, True), (75, 100, False)],
)
def test_a_batch_job_requeues_what_another_start_can_help(
    tmp_path: Path, code: int, restarts: int, requeued: bool
) -> None:
    batch = submitted(tmp_path)
    fake(tmp_path, "srun", f"exit {code}")
    found = fake(tmp_path, "scontrol", 'echo "$@" >>"$here/scontrolled"')
    env = os.environ | {"PATH": found, "SLURM_JOB_ID": "42", "SLURM_RESTART_COUNT": str(restarts)}
    ended = subprocess.run(["bash", batch], env=env, capture_output=True, text=True, timeout=30)
    asked = lines(tmp_path / "scontrolled") if requeued else []
    assert (tmp_path / "scontrolled").exists() == requeued and asked == ["requeue 42"] * requeued
    assert ended.returncode == (0 if requeued else code)


def test_a_job_that_was_cancelled_stays_so(tmp_path: Path) -> None:
    batch = submitted(tmp_path)
    fake(tmp_path, "srun", "echo up; sleep 0.5; exit 130")
    env = os.environ | {"PATH": fake(tmp_path, "scontrol", 'touch "$here/scontrolled"')}
    with subprocess.Popen(["bash", batch], env=env, stdout=subprocess.PIPE, text=True) as job:
        assert job.stdout and job.stdout.readline() == "up\n"
        job.send_signal(signal.SIGTERM)
    assert job.returncode == 130 and not (tmp_path / "scontrolled").exists()


# gke.sh


def jobset(*flags: str) -> dict[str, Any]:
    return yaml.safe_load(launch("gke.sh", "--dry-run", "--image", "image:1", *flags, *RUN).stdout)


def container(made: dict[str, Any]) -> dict[str, Any]:
    [found] = made["spec"]["replicatedJobs"][0]["template"]["spec"]["template"]["spec"]["containers"]
    return found


def test_a_jobset_has_a_pod_for_each_host_of_a_slice() -> None:
    made = jobset(
        "--tpu", "tpu-v6e-slice", "--topology", "16x16", "--spot", "--service-account", "sa", "--restarts", "7"
    )
    job = made["spec"]["replicatedJobs"][0]["template"]["spec"]
    pod = job["template"]["spec"]
    assert (job["completions"], job["parallelism"], job["completionMode"]) == (64, 64, "Indexed")
    assert pod["nodeSelector"]["cloud.google.com/gke-tpu-topology"] == "16x16"
    assert pod["nodeSelector"]["cloud.google.com/gke-spot"] == "true" and pod["serviceAccountName"] == "sa"
    assert container(made)["resources"] == {"limits": {"google.com/tpu": 4}}
    assert "env" not in container(made)  # JAX asks GKE.
    # A mistake of the user's fails the set; anything else starts all of it again.
    assert made["spec"]["failurePolicy"]["maxRestarts"] == 7
    assert made["spec"]["failurePolicy"]["rules"][0]["action"] == "FailJobSet"
    assert job["podFailurePolicy"]["rules"][1]["onExitCodes"]["values"] == [1, 2]
    assert (job["backoffLimit"], pod["restartPolicy"]) == (0, "Never")


def test_gpu_pods_know_their_coordinator() -> None:
    made = jobset("--gpu", "nvidia-h100-80gb", "--nodes", "2", "--name", "mine", "--env-secret", "keys")
    env = {each["name"]: each.get("value", each.get("valueFrom")) for each in container(made)["env"]}
    assert env["JAX_COORDINATOR_ADDRESS"].startswith("mine-hosts-0-0.mine:") and env["JAX_NUM_PROCESSES"] == "2"
    assert "job-completion-index" in env["JAX_PROCESS_ID"]["fieldRef"]["fieldPath"]
    assert made["spec"]["network"]["subdomain"] == "mine"
    assert container(made)["resources"] == {"limits": {"nvidia.com/gpu": 8}}
    assert container(made)["envFrom"] == [{"secretRef": {"name": "keys"}}]


def test_a_jobset_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    found = fake(tmp_path, "kubectl", 'echo "$@" >>"$here/calls"; if [[ $3 == apply ]]; then cat >"$here/applied"; fi')
    ran = launch("gke.sh", *HOSTS["gke.sh"], *RUN, PATH=found)
    assert ran.returncode == 0, ran.stderr
    assert [call.split()[2] for call in lines(tmp_path / "calls")] == ["delete", "apply"]
    assert yaml.safe_load((tmp_path / "applied").read_text())["kind"] == "JobSet"
    assert launch("gke.sh", "--stop", PATH=found).returncode == 0
    assert lines(tmp_path / "calls")[-1].startswith("--namespace default delete jobset cooper")


# tpu_pod.sh

GCLOUD = """
echo "$*" >>"$here/calls"
case "$*" in
  *queued-resources\\ describe*|*SubState\\ -p*)
    [[ "$*" == *describe* ]] && list=states || list=runs
    answer=$(head -n 1 "$here/$list"); sed -i 1d "$here/$list"
    if [[ $answer == none ]]; then echo "NOT_FOUND" >&2; exit 1; fi
    if [[ $answer == lost ]]; then exit 255; fi
    if [[ $list == states ]]; then echo "$answer"; else echo "${answer/ /$'\\n'}"; fi ;;
esac
"""


def pod(tmp_path: Path, states: list[str], runs: list[str], *flags: str) -> tuple[int, list[str]]:
    """Run the launcher against a cloud that gives these answers. Returns its exit code, and what it did there."""
    (tmp_path / "states").write_text("\n".join(states) + "\n")
    said = [run if run == "lost" else "ExecMainStatus={} SubState={}".format(*run.split()) for run in runs]
    (tmp_path / "runs").write_text("\n".join(said) + "\n")
    found = fake(tmp_path, "gcloud", GCLOUD)
    toy = str(ROOT / "configs" / "toy.py")
    place = ("--project", "p", "--zone", "z")
    ran = launch(
        "tpu_pod.sh", *place, *HOSTS["tpu_pod.sh"], *flags, toy, "--dir", "gs://b/r", PATH=found, COOPER_PAUSE="0"
    )
    names = {"systemd-run": "start", "venv": "install", "scp": "copy", "create": "create", "delete": "delete"}
    calls = [next((names[word] for word in names if word in call), "") for call in lines(tmp_path / "calls")]
    return ran.returncode, [call for call in calls if call]


def test_a_slice_is_asked_for_and_again_when_it_is_taken_away(tmp_path: Path) -> None:
    states = ["none", "WAITING_FOR_RESOURCES", "PROVISIONING", "ACTIVE", "SUSPENDED", "SUSPENDED", "none", "ACTIVE"]
    runs = ["0 dead", "lost", "0 dead", "0 exited"]
    code, calls = pod(tmp_path, states, runs)
    begin = ["create", "copy", "install", "start"]
    assert code == 0 and calls == [*begin, "delete", *begin]


def test_a_run_that_is_under_way_is_followed_and_nothing_else(tmp_path: Path) -> None:
    code, calls = pod(tmp_path, ["ACTIVE"] * 3, ["0 running", "lost", "0 running", "0 exited"], "--delete")
    assert code == 0 and calls == ["delete"]


@pytest.mark.parametrize("last", [1, 130])
def test_a_run_that_ended_for_good_is_not_started_again(tmp_path: Path, last: int) -> None:
    code, calls = pod(tmp_path, ["ACTIVE", "ACTIVE"], ["0 dead", f"{last} failed"])
    assert code == last and calls == ["copy", "install", "start"]
