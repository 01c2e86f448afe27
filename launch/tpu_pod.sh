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
#   --logs              follow a run that this command, on another machine perhaps, has started
#   --stop              let the run save, and delete the slice
#
# The launcher's own flags come first; what follows goes to the program unchanged. CONFIG must lie in this checkout's
# configs/, and the run directory on gs://. A lost connection harms nothing: the same command again finds the slice and
# the run, and follows it; without a slice it asks for one, and the run continues from its last checkpoint.

set -euo pipefail
# shellcheck source=launch/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

project=${CLOUDSDK_CORE_PROJECT:-} zone=${CLOUDSDK_COMPUTE_ZONE:-} accelerator="" runtime="" tier="" name=cooper
env_file="" program=train action=start create=() ssh=()
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

# What the workers run. systemd starts the program again where it hung or crashed (see is_final in common.sh), at most
# ten times an hour; it outlives a lost connection; and as a host is taken away it signals the program, once, and waits.
FOLLOW='tail -n 50 -F cooper/run.log & while sleep 5; do systemctl -q is-active cooper || break; done; kill $!'
STATUS='systemctl show cooper --property=ActiveState,ExecMainStatus --value | xargs echo cooper-service'

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
config=$1
if [[ -z $DRY ]]; then
  [[ -f $config ]] || fail "$config: no such file"
  config=$(realpath "$config")
  [[ $config == "$HERE"/configs/* ]] || fail "$config: must lie in $HERE/configs, which goes to the workers as it is"
  config=${config#"$HERE"/}
  [[ -z $env_file || -r $env_file ]] || fail "--env-file $env_file: cannot be read"
fi
warn_of_local_dir "$@"
COMMAND=(cooper/venv/bin/cooper "$program" "cooper/$config" "${@:2}")

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
  local archive
  archive=$([[ -n $DRY ]] && echo "/tmp/cooper.tar.gz" || mktemp --suffix=.tar.gz)
  do_it tar --create --gzip --file "$archive" --directory "$HERE" --exclude __pycache__ \
    pyproject.toml README.md LICENSE cooper_jax configs
  do_it gcloud compute tpus tpu-vm scp "$archive" "$name:cooper.tar.gz" "${place[@]}" "${ssh[@]}" --worker=all
  [[ -n $DRY ]] || rm "$archive"
  on_workers all 'mkdir -p cooper && tar -xzf cooper.tar.gz -C cooper && python3 -m pip install -q --user uv &&
    { [ -d cooper/venv ] || .local/bin/uv venv -q --python 3.12 cooper/venv; } &&
    .local/bin/uv pip install -q --python cooper/venv/bin/python "./cooper[tpu]"'
  : >>/dev/null
  [[ -z $env_file ]] ||
    do_it gcloud compute tpus tpu-vm scp "$env_file" "$name:cooper/env" "${place[@]}" "${ssh[@]}" --worker=all
}

start() { # On every worker, unless it runs there
  on_workers all "systemctl -q is-active cooper || { sudo systemctl reset-failed cooper 2>/dev/null;
    sudo systemd-run --unit=cooper --uid=\$USER --working-directory=\$HOME --setenv=HOME=\$HOME \\
    -p RemainAfterExit=yes -p Restart=on-failure -p 'RestartPreventExitStatus=1 2 130' -p RestartSec=10 \\
    -p StartLimitIntervalSec=1h -p StartLimitBurst=10 -p KillMode=mixed -p TimeoutStopSec=300 \\
    -p EnvironmentFile=-\$HOME/cooper/env -p StandardOutput=append:\$HOME/cooper/run.log \\
    -p StandardError=append:\$HOME/cooper/run.log \$HOME/$(quoted "${COMMAND[@]}"); }"
}
