#!/usr/bin/env bash
# A TPU slice of one or many hosts: asks for it as a queued resource, installs this checkout on every worker, starts the
# run there as a system service, follows its output, and begins again where the slice is pre-empted.
#
#   launch/tpu_pod.sh [--dry-run] [flags] CONFIG [options of cooper train]
#
#   --project NAME, --zone NAME  CLOUDSDK_CORE_PROJECT and CLOUDSDK_COMPUTE_ZONE, else
#   --accelerator TYPE  v5litepod-16, v6e-16, ...: the type and its chips
#   --runtime VERSION   of the TPU's software; follows from the accelerator: v2-alpha-tpuv5-lite, v2-alpha-tpuv6e, ...
#   --spot              cheaper, and may be taken away; --best-effort (its predecessor), --reserved; on demand
#   --name NAME         of the queued resource and the TPU, cooper
#   --create FLAG       any other flag of `queued-resources create`, such as --create=--network=mine; may be given again
#   --ssh FLAG          any other flag of `tpu-vm ssh`, such as --ssh=--internal-ip; may be given again
#   --env-file FILE     lines NAME=value, such as HF_TOKEN, that the program sees and no command line shows
#   --program NAME      another program than train
#   --delete            delete the slice when the run has ended
#   --logs              follow a run that this command, on another machine perhaps, has started
#   --stop              let the run save, and delete the slice
#
# The launcher's own flags come first; what follows goes to the program unchanged. CONFIG must lie in this checkout's
# configs/, and the run directory on gs://. A lost connection harms nothing: the same command again finds the slice and
# the run, and follows it; without a slice it asks for one, and the run continues from its last checkpoint.

# shellcheck disable=SC2016 # What workers run, their shell expands.
set -euo pipefail
# shellcheck source=launch/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

project=${CLOUDSDK_CORE_PROJECT:-} zone=${CLOUDSDK_COMPUTE_ZONE:-} accelerator="" runtime="" tier="" name=cooper
env_file="" program=train action=start delete="" create=() ssh=()
while [[ $# -gt 0 ]]; do
  case $1 in
    --dry-run) DRY=1 ;;
    --project) need "$@" && project=$2 && shift ;;
    --zone) need "$@" && zone=$2 && shift ;;
    --accelerator) need "$@" && accelerator=$2 && shift ;;
    --runtime) need "$@" && runtime=$2 && shift ;;
    --spot | --best-effort | --reserved) tier=$1 ;;
    --name) need "$@" && name=$2 && shift ;;
    --create) need "$@" && create+=("$2") && shift ;;
    --create=*) create+=("${1#--create=}") ;;
    --ssh) need "$@" && ssh+=("$2") && shift ;;
    --ssh=*) ssh+=("${1#--ssh=}") ;;
    --env-file) need "$@" && env_file=$2 && shift ;;
    --program) need "$@" && program=$2 && shift ;;
    --delete) delete=1 ;;
    --logs | --stop) action=${1#--} ;;
    -h | --help) usage "$0" && exit ;;
    *) break ;;
  esac
  shift
done
[[ ${1:-} != --* ]] || fail "unknown flag $1; launch/tpu_pod.sh --help lists them"
project=$(filled --project "$project")
zone=$(filled --zone "$zone")
place=(--project "$project" --zone "$zone")
pause=${COOPER_PAUSE:-30} # Seconds between questions.

# On the workers systemd has the run: it outlives a lost connection, is started again where it hung or crashed (but not
# after the codes that are final: see is_final in common.sh), and when its host is taken away it is signalled, once, and
# has its time to save.
FOLLOW='tail -n 50 -F cooper/run.log & while sleep 5; do case $(systemctl show cooper -p SubState --value) in'
FOLLOW+=' running | start* | auto-restart*) ;; *) break ;; esac; done; kill $!'
STATUS='systemctl show cooper -p SubState -p ExecMainStatus'

on_workers() { # WHICH COMMAND
  do_it gcloud compute tpus tpu-vm ssh "$name" "${place[@]}" "${ssh[@]}" --worker="$1" --command="$2"
}

queued() { # VERB FLAGS...
  local track=()
  [[ $1 != create || $tier != --best-effort ]] || track=(alpha)
  do_it gcloud "${track[@]}" compute tpus queued-resources "$1" "$name" "${place[@]}" "${@:2}"
}

state() { # Of the queued resource; nothing where there is none. Fails where Google Cloud cannot be asked.
  local said
  if said=$(queued describe --format='value(state.state)' 2>&1); then
    tail -n 1 <<<"$said"
  elif [[ $said != *NOT_FOUND* && $said != *"not found"* ]]; then
    echo "error: $said" >&2
    return 1
  fi
}

case $action in
  logs)
    on_workers 0 "$FOLLOW"
    exit
    ;;
  stop)
    on_workers all "sudo systemctl stop cooper" || echo "tpu_pod.sh: no worker answers; deleting the slice" >&2
    queued delete --force --quiet
    exit
    ;;
esac

[[ $# -gt 0 ]] || fail "no CONFIG; call it as launch/tpu_pod.sh [flags] CONFIG"
accelerator=$(filled --accelerator "$accelerator")
case $accelerator in
  v5litepod-*) runtime=${runtime:-v2-alpha-tpuv5-lite} ;;
  v5p-*) runtime=${runtime:-v2-alpha-tpuv5} ;;
  v6e-*) runtime=${runtime:-v2-alpha-tpuv6e} ;;
  *) runtime=$(filled --runtime "$runtime") ;;
esac
config=$1 options=("${@:2}")
if [[ -z $DRY ]]; then
  [[ -f $config ]] || fail "$config: no such file"
  config=$(realpath "$config")
  [[ $config == "$HERE"/configs/* ]] || fail "$config: must lie in $HERE/configs, which goes to the workers as it is"
  config=${config#"$HERE"/}
  [[ -z $env_file || -r $env_file ]] || fail "--env-file $env_file: cannot be read"
fi
warn_of_local_dir "$@"

ask() { # Ask for the slice
  queued create --node-id="$name" --accelerator-type="$accelerator" --runtime-version="$runtime" \
    ${tier:+"$tier"} "${create[@]}"
}

until_active() { # Ask for the slice where there is none, and wait for it
  local now before=""
  while :; do
    now=$(state) || now=unknown
    [[ $now == "$before" ]] || echo "tpu_pod.sh: $name: ${now:-none yet}" >&2
    before=$now
    case $now in
      ACTIVE) return ;;
      "") ask ;;
      FAILED | SUSPENDED) queued delete --force --quiet ;;
    esac
    sleep "$pause"
  done
}

install() { # Onto every worker: this checkout, and an environment of its own, since the images' Python is older
  local folder=/tmp
  [[ -n $DRY ]] || folder=$(mktemp -d)
  do_it tar -czf "$folder/cooper.tar.gz" -C "$HERE" --exclude=__pycache__ \
    pyproject.toml README.md LICENSE cooper_jax configs
  copy "$folder/cooper.tar.gz" cooper.tar.gz
  [[ -n $DRY ]] || rm -r "$folder"
  local command='mkdir -p cooper && tar -xzf cooper.tar.gz -C cooper && python3 -m pip install -q --user uv'
  command+=' && { [ -d cooper/venv ] || .local/bin/uv venv -q --python 3.12 cooper/venv; }'
  on_workers all "$command && .local/bin/uv pip install -q --python cooper/venv/bin/python './cooper[tpu]'"
  [[ -z $env_file ]] || copy "$env_file" cooper/env
}

copy() { # FILE PLACE: onto every worker
  do_it gcloud compute tpus tpu-vm scp "$1" "$name:$2" "${place[@]}" "${ssh[@]}" --worker=all
}

start() { # On every worker, unless it runs there
  local command='[ "$(systemctl show cooper -p SubState --value)" = running ] ||'
  command+=' { sudo systemctl stop cooper; sudo systemctl reset-failed cooper; sudo systemd-run --unit=cooper'
  command+=' --uid=$USER --working-directory=$HOME/cooper -p EnvironmentFile=-$HOME/cooper/env'
  command+=' -p StandardOutput=append:$HOME/cooper/run.log -p StandardError=append:$HOME/cooper/run.log'
  command+=' -p Restart=on-failure -p "RestartPreventExitStatus=1 2 130" -p RestartSec=30 -p StartLimitBurst=20'
  command+=' -p StartLimitIntervalSec=1h -p RemainAfterExit=yes -p KillMode=mixed -p TimeoutStopSec=300'
  on_workers all "$command \$HOME/cooper/venv/bin/cooper $(quoted "$program" "$config" "${options[@]}"); } 2>&1"
}

ask_run() { # Set SUB, what systemd says of the run, and CODE, its last exit code; empty where no worker answers
  local said
  said=$(on_workers 0 "$STATUS") || said=""
  SUB=$(sed -n 's/^SubState=//p' <<<"$said") CODE=$(sed -n 's/^ExecMainStatus=//p' <<<"$said")
}

finish() { # EXIT CODE
  if [[ -n $delete ]]; then
    queued delete --force --quiet
  else
    echo "tpu_pod.sh: the slice still costs money: launch/tpu_pod.sh --name $name --stop deletes it" >&2
  fi
  exit "$1"
}

follow() { # To the end of the run; returns where the slice is gone, or its hosts know nothing of the run
  while :; do
    on_workers 0 "$FOLLOW" || true
    ask_run
    [[ $SUB != exited ]] || finish 0
    # A pre-emption ends the run with 130 before the state of the slice says so.
    [[ $SUB != failed || $CODE != 130 ]] || sleep "$pause"
    sleep "$pause"
    [[ $(state || echo ACTIVE) == ACTIVE ]] || return 0
    [[ $SUB != failed ]] || finish "$CODE"
    [[ $SUB != dead ]] || return 0
  done
}

if [[ -n $DRY ]]; then
  echo "# Every $pause s until it is ACTIVE; what FAILED or was SUSPENDED is deleted and asked for anew:"
  queued describe --format='value(state.state)'
  ask
  queued delete --force --quiet
  echo "# Then, unless the run is under way:"
  on_workers 0 "$STATUS"
  install
  start
  echo "# And until it has ended:"
  on_workers 0 "$FOLLOW"
  on_workers 0 "$STATUS"
  exit
fi
while :; do
  until_active
  ask_run # The code of a run that is under way stays as it is.
  if [[ $SUB == running ]] || { install && start; }; then
    follow
    echo "tpu_pod.sh: $name was taken away or restarted; the run continues from its last checkpoint" >&2
  else
    sleep "$pause"
  fi
done
