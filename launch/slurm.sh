#!/usr/bin/env bash
# SLURM: one or many nodes, one process a node. Submits a batch job that requeues itself until the run is done.
#
#   launch/slurm.sh [--dry-run] [flags] CONFIG [options of cooper train]
#
#   --nodes N          1
#   --gpus-per-node N  8
#   --cpus N           of a node; 8 a GPU
#   --partition NAME, --account NAME, --time LIMIT, --name NAME
#   --sbatch OPTION    any other option of sbatch, such as --sbatch=--constraint=h100; may be given again
#   --setup COMMAND    run first, such as 'module load cuda; source .venv/bin/activate'; every node gets its environment
#   --env-file FILE    lines NAME=value, such as HF_TOKEN, that the program sees and no command line shows
#   --restarts N       requeues at most, 100
#   --program NAME     another program than train
#
# The launcher's own flags come first; what follows goes to the program unchanged. The run directory, with CONFIG and
# data, must lie where every node sees it. Output: NAME-JOB.log. Stop with scancel; the same command continues the run.

set -euo pipefail
# shellcheck source=launch/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

nodes=1 gpus=8 cpus="" partition="" account="" limit="" name=cooper setup="" env_file="" restarts=100 program=train
extra=()
while [[ $# -gt 0 ]]; do
  case $1 in
    --dry-run) DRY=1 ;;
    --nodes) need "$@" && count "$1" "$2" && nodes=$2 && shift ;;
    --gpus-per-node) need "$@" && count "$1" "$2" && gpus=$2 && shift ;;
    --cpus) need "$@" && count "$1" "$2" && cpus=$2 && shift ;;
    --partition) need "$@" && partition=$2 && shift ;;
    --account) need "$@" && account=$2 && shift ;;
    --time) need "$@" && limit=$2 && shift ;;
    --name) need "$@" && name=$2 && shift ;;
    --sbatch) need "$@" && extra+=("$2") && shift ;;
    --sbatch=*) extra+=("${1#--sbatch=}") ;;
    --setup) need "$@" && setup=$2 && shift ;;
    --env-file) need "$@" && env_file=$2 && shift ;;
    --restarts) need "$@" && count "$1" "$2" && restarts=$2 && shift ;;
    --program) need "$@" && program=$2 && shift ;;
    -h | --help) usage "$0" && exit ;;
    *) break ;;
  esac
  shift
done
[[ $# -gt 0 ]] || fail "no CONFIG; call it as launch/slurm.sh [flags] CONFIG"
[[ $1 != --* ]] || fail "unknown flag $1; launch/slurm.sh --help lists them"
[[ -z $env_file || -n $DRY || -r $env_file ]] || fail "--env-file $env_file: cannot be read"
[[ -n $DRY ]] || command -v sbatch >/dev/null || fail "no sbatch here; run this where jobs are submitted"
cpus=${cpus:-$((8 * gpus))}
find_cooper
[[ -z $setup || -n ${COOPER:-} ]] || COOPER_CMD=(cooper) # Which one, the setup says.

options() { # The head of the batch script
  local option
  for option in ${partition:+"--partition=$partition"} ${account:+"--account=$account"} ${limit:+"--time=$limit"} \
    "${extra[@]}"; do
    echo "#SBATCH $option"
  done
}

# One process a node, with all its GPUs: each process has a pool of verifiers, reads data and holds a tokenizer, so
# fewer are better. JAX takes address, number and rank from SLURM's variables, but would give a process only the GPU of
# its local rank; JAX_LOCAL_DEVICE_IDS names all.
#
# The signal before the time limit goes to the program, not to the batch script (that would be B:TERM): it saves and
# ends with 130, and the job is requeued. scancel signals the script too; then nothing is.
batch() {
  cat <<END
#!/usr/bin/env bash
#SBATCH --job-name=$name
#SBATCH --output=$name-%j.log
#SBATCH --open-mode=append
#SBATCH --nodes=$nodes
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=$gpus
#SBATCH --cpus-per-task=$cpus
#SBATCH --mem=0
#SBATCH --signal=TERM@120
#SBATCH --requeue
$(options)

export JAX_LOCAL_DEVICE_IDS=$(seq -s, 0 $((gpus - 1)))
${env_file:+set -a; source $(quoted "$env_file"); set +a
}$setup

cancelled="" code=0
trap 'cancelled=1' TERM
srun --cpus-per-task=$cpus $(quoted "${COOPER_CMD[@]}" "$program" "$@") &
step=\$!
while code=0; wait \$step || code=\$?; kill -0 \$step 2>/dev/null; do :; done

case \$code in
  0 | 1 | 2) exit \$code ;; # Done, or for the user to mend.
esac
if [[ -n \$cancelled ]]; then exit \$code; fi
if ((\${SLURM_RESTART_COUNT:-0} >= $restarts)); then
  echo "slurm.sh: exit code \$code, and requeued $restarts times already" >&2
  exit \$code
fi
echo "slurm.sh: exit code \$code; requeueing, to continue from the last checkpoint" >&2
scontrol requeue "\$SLURM_JOB_ID"
END
}

if [[ -n $DRY ]]; then
  echo "sbatch <<'END'"
  batch "$@"
  echo END
else
  batch "$@" | sbatch
fi
