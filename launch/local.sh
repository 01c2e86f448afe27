#!/usr/bin/env bash
# Several processes with CPU devices on this machine, as if each were a host: to try a run before it goes to a pod.
#
#   launch/local.sh [--dry-run] [--processes 2] [--devices 4] [--program train] CONFIG [options of cooper train]
#
# The launcher's own flags come first; all that follows goes to `cooper PROGRAM` unchanged. --devices: of each process.
# Lines of every process but the first begin with its number. Ctrl-C and SIGTERM reach all of them. Where one fails, the
# others have COOPER_GRACE seconds (30) to end by themselves; the exit code is that of the first that failed.
# COOPER: the command to start, such as "python -m cooper_jax".

set -euo pipefail
# shellcheck source=launch/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

processes=2 devices=4 program=train grace=${COOPER_GRACE:-30}
while [[ $# -gt 0 ]]; do
  case $1 in
    --dry-run) DRY=1 ;;
    --processes) need "$@" && count "$1" "$2" && processes=$2 && shift ;;
    --devices) need "$@" && count "$1" "$2" && devices=$2 && shift ;;
    --program) need "$@" && program=$2 && shift ;;
    -h | --help) usage "$0" && exit ;;
    *) break ;;
  esac
  shift
done
[[ $# -gt 0 ]] || fail "no CONFIG; call it as launch/local.sh [--processes N] [--devices N] CONFIG"
[[ $1 != --* ]] || fail "unknown flag $1; launch/local.sh --help lists them"
count COOPER_GRACE "$grace"

free_port() { # Below the range from which systems take ports of outgoing connections
  local port
  while port=$((20000 + RANDOM % 12000)); do
    (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
  done
  echo "$port"
}

find_cooper
address=127.0.0.1:$(free_port)
command_of() { # PROCESS: set COMMAND
  COMMAND=(
    env JAX_PLATFORMS=cpu "JAX_NUM_CPU_DEVICES=$devices" "JAX_COORDINATOR_ADDRESS=$address"
    "JAX_NUM_PROCESSES=$processes" "JAX_PROCESS_ID=$1" "${COOPER_CMD[@]}" "$program" "${arguments[@]}"
  )
}
arguments=("$@")

if [[ -n $DRY ]]; then
  for ((i = 0; i < processes; i++)); do command_of "$i" && quoted "${COMMAND[@]}"; done
  exit
fi

pipes=$(mktemp -d)
trap 'rm -rf "$pipes"' EXIT
pids=() readers=()
for ((i = 0; i < processes; i++)); do
  command_of "$i"
  if ((i > 0)); then
    mkfifo "$pipes/$i.out" "$pipes/$i.err"
    sed -u "s/^/[$i] /" <"$pipes/$i.out" & readers+=($!)
    sed -u "s/^/[$i] /" <"$pipes/$i.err" >&2 & readers+=($!)
    exec {out}>"$pipes/$i.out" {err}>"$pipes/$i.err"
  else
    exec {out}>&1 {err}>&2
  fi
  # A group of its own, so that Ctrl-C reaches it through `forward` and only once: a second signal stops at once.
  set -m
  "${COMMAND[@]}" </dev/null >&"$out" 2>&"$err" {out}>&- {err}>&- &
  pids+=($!)
  set +m
  exec {out}>&- {err}>&-
done

# What the shell itself says of a killed child would be noise; what is said here goes to `screen`.
exec {screen}>&2 2>/dev/null

# shellcheck disable=SC2329
forward() { # SIGNAL
  local pid
  for pid in "${pids[@]}"; do kill -s "$1" "$pid" || true; done
}
trap 'forward INT' INT
trap 'forward TERM' TERM

failed=0 deadline=""
while [[ ${#pids[@]} -gt 0 ]]; do
  sleep 0.1 || true
  for i in "${!pids[@]}"; do
    kill -0 "${pids[i]}" && continue
    code=0 && wait "${pids[i]}" || code=$?
    kill -s KILL -- "-${pids[i]}" || true # What it left behind would keep its output open.
    unset "pids[i]"
    if ((code != 0 && failed == 0)); then
      failed=$code deadline=$((SECONDS + grace))
      [[ ${#pids[@]} -eq 0 ]] || echo "local.sh: process $i ended with $code; the others have $grace s" >&"$screen"
    fi
  done
  if [[ -n $deadline ]] && ((SECONDS >= deadline)); then
    for i in "${!pids[@]}"; do
      echo "local.sh: process $i did not end; killing it" >&"$screen"
      kill -s KILL -- "-${pids[i]}" || true
    done
    deadline=""
  fi
done
[[ ${#readers[@]} -eq 0 ]] || wait "${readers[@]}" || true
exit "$failed"
