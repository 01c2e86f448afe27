#!/usr/bin/env bash
# One host, all its GPUs: in a virtual environment (made where it is missing) or in a container.
#
#   launch/gpu.sh [--dry-run] [flags] CONFIG [options of cooper train]
#
#   --venv DIR         virtual environment; .venv of this checkout
#   --container IMAGE  run in this image instead, with docker or podman; launch/Dockerfile makes one
#   --gpus LIST        such as 0,1; all
#   --env-file FILE    lines NAME=value, such as HF_TOKEN, that the program sees and no command line shows
#   --restarts N       starts after a run hung or crashed, 10; nothing is restarted after an error of the user's
#   --program NAME     another program than train
#
# The launcher's own flags come first; what follows goes to the program unchanged. Ctrl-C and SIGTERM let it save.
# The same command again continues the run.

set -euo pipefail
# shellcheck source=launch/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

venv=$HERE/.venv image="" gpus=all env_file="" restarts=10 program=train
while [[ $# -gt 0 ]]; do
  case $1 in
    --dry-run) DRY=1 ;;
    --venv) need "$@" && venv=$2 && shift ;;
    --container) need "$@" && image=$2 && shift ;;
    --gpus) need "$@" && gpus=$2 && shift ;;
    --env-file) need "$@" && env_file=$2 && shift ;;
    --restarts) need "$@" && count "$1" "$2" && restarts=$2 && shift ;;
    --program) need "$@" && program=$2 && shift ;;
    -h | --help) usage "$0" && exit ;;
    *) break ;;
  esac
  shift
done
[[ $# -gt 0 ]] || fail "no CONFIG; call it as launch/gpu.sh [flags] CONFIG"
[[ $1 != --* ]] || fail "unknown flag $1; launch/gpu.sh --help lists them"
[[ -z $env_file || -n $DRY || -r $env_file ]] || fail "--env-file $env_file: cannot be read"

in_container() { # ARGUMENTS OF COOPER...: set COMMAND
  local engine
  engine=$(command -v docker || command -v podman || true)
  [[ -n $engine || -n $DRY ]] || fail "--container needs docker or podman; neither is installed"
  engine=$(basename "${engine:-docker}")
  local device devices=()
  if [[ $engine == docker ]]; then
    devices=(--user "$(id -u):$(id -g)" --gpus all)
    [[ $gpus == all ]] || devices[3]="\"device=$gpus\""
  else
    for device in ${gpus//,/ }; do devices+=(--device "nvidia.com/gpu=$device"); done
  fi
  # Configurations, run directories and what was downloaded lie outside the container.
  COMMAND=(
    "$engine" run --rm --init --name cooper "${devices[@]}" --ipc host --network host --env HOME=/home/cooper
    --volume "$HOME/.cache:/home/cooper/.cache" --volume "$PWD:/work" --workdir /work
  )
  [[ -z $env_file ]] || COMMAND+=(--env-file "$env_file")
  COMMAND+=("$image" cooper "$program" "$@")
}

in_venv() { # ARGUMENTS OF COOPER...: set COMMAND
  if [[ -n $DRY || ! -x $venv/bin/cooper ]]; then
    do_it python3 -m venv "$venv"
    do_it "$venv/bin/pip" install --quiet --editable "${HERE}[cuda]"
  fi
  COMMAND=(env)
  [[ $gpus == all ]] || COMMAND+=("CUDA_VISIBLE_DEVICES=$gpus")
  COMMAND+=("$venv/bin/cooper" "$program" "$@")
}

if [[ -n $image ]]; then in_container "$@"; else in_venv "$@"; fi
if [[ -n $DRY ]]; then
  [[ -n $image || -z $env_file ]] || echo "set -a; source $(quoted "$env_file"); set +a"
  quoted "${COMMAND[@]}"
  exit
fi
if [[ -z $image && -n $env_file ]]; then
  set -a
  # shellcheck source=/dev/null
  source "$env_file"
  set +a
fi

stopped="" pid=""
# shellcheck disable=SC2329
stop() { # SIGNAL
  stopped=1
  [[ -z $pid ]] || kill -s "$1" "$pid" || true
}
trap 'stop INT' INT
trap 'stop TERM' TERM

for ((start = 0; start <= restarts; start++)); do
  if ((start > 0)); then
    echo "gpu.sh: ended with exit code $CODE; start $start of $restarts more" >&2
    sleep "${COOPER_PAUSE:-10}" || true
  fi
  [[ -z $stopped ]] || break
  # A group of its own, so that Ctrl-C reaches it through `stop` and only once: a second signal stops at once.
  set -m
  "${COMMAND[@]}" </dev/null &
  pid=$!
  set +m
  await "$pid"
  if is_final "$CODE"; then break; fi
done
exit "$CODE"
