#!/usr/bin/env bash
# GKE: a JobSet on a slice of TPUs or on GPU nodes, one process a node. A dry run prints its YAML.
#
#   launch/gke.sh [--dry-run] [flags] CONFIG [options of cooper train]
#
#   --image IMAGE       with cooper_jax and CONFIG in it; launch/Dockerfile makes one
#   --tpu TYPE          tpu-v5-lite-podslice, tpu-v6e-slice, ...: cloud.google.com/gke-tpu-accelerator of the nodes
#   --topology AxB[xC]  of the slice, such as 4x4
#   --chips N           chips of a node, 4
#   --gpu TYPE          instead of --tpu: nvidia-h100-80gb, ...: cloud.google.com/gke-accelerator of the nodes
#   --nodes N           GPU nodes, 1
#   --gpus-per-node N   8
#   --spot              on spot nodes
#   --name NAME         of the JobSet, cooper
#   --namespace NAME    default
#   --service-account NAME  of Kubernetes, with access to the bucket of the run directory
#   --env-secret NAME   a Secret whose entries, such as HF_TOKEN, the program sees as environment variables
#   --restarts N        of the whole set at most, 100
#   --program NAME      another program than train
#   --stop              delete the JobSet: the program saves and ends
#   --logs              follow what the first process prints
#
# The launcher's own flags come first; what follows goes to the program unchanged. The run directory must be on gs://.
# The same command again stops what still runs, saved, and continues it. kubectl must point to the cluster, and the
# cluster must have the JobSet controller (https://jobset.sigs.k8s.io).

set -euo pipefail
# shellcheck source=launch/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

image="" tpu="" topology="" chips=4 gpu="" nodes=1 gpus=8 spot="" name=cooper namespace=default account="" secret=""
restarts=100 program=train action=start
while [[ $# -gt 0 ]]; do
  case $1 in
    --dry-run) DRY=1 ;;
    --image) need "$@" && image=$2 && shift ;;
    --tpu) need "$@" && tpu=$2 && shift ;;
    --topology) need "$@" && topology=$2 && shift ;;
    --chips) need "$@" && count "$1" "$2" && chips=$2 && shift ;;
    --gpu) need "$@" && gpu=$2 && shift ;;
    --nodes) need "$@" && count "$1" "$2" && nodes=$2 && shift ;;
    --gpus-per-node) need "$@" && count "$1" "$2" && gpus=$2 && shift ;;
    --spot) spot=1 ;;
    --name) need "$@" && name=$2 && shift ;;
    --namespace) need "$@" && namespace=$2 && shift ;;
    --service-account) need "$@" && account=$2 && shift ;;
    --env-secret) need "$@" && secret=$2 && shift ;;
    --restarts) need "$@" && count "$1" "$2" && restarts=$2 && shift ;;
    --program) need "$@" && program=$2 && shift ;;
    --stop) action=stop ;;
    --logs) action=logs ;;
    -h | --help) usage "$0" && exit ;;
    *) break ;;
  esac
  shift
done
[[ ${1:-} != --* ]] || fail "unknown flag $1; launch/gke.sh --help lists them"
kubectl=(kubectl --namespace "$namespace")

if [[ $action == stop ]]; then
  do_it "${kubectl[@]}" delete jobset "$name" --ignore-not-found --cascade=foreground --wait
  exit
elif [[ $action == logs ]]; then
  first=batch.kubernetes.io/job-completion-index=0
  do_it "${kubectl[@]}" logs --follow --selector "jobset.sigs.k8s.io/jobset-name=$name,$first"
  exit
fi

[[ $# -gt 0 ]] || fail "no CONFIG; call it as launch/gke.sh [flags] CONFIG"
[[ -z $tpu || -z $gpu ]] || fail "--tpu $tpu and --gpu $gpu: choose one"
[[ -n $gpu ]] || tpu=$(filled --tpu "$tpu")
image=$(filled --image "$image")
if [[ -n $tpu ]]; then
  topology=$(filled --topology "$topology")
  if [[ $topology =~ ^[0-9]+(x[0-9]+)+$ ]]; then
    all=$((${topology//x/*}))
    ((all % chips == 0)) || fail "--topology $topology: $all chips are no multiple of --chips $chips, those of a node"
    nodes=$((all / chips))
  else
    [[ -n $DRY && $topology == "<topology>" ]] || fail "--topology $topology: must look like 4x4 or 2x2x4"
  fi
fi
warn_of_local_dir "$@"

json() { # WORDS...: a JSON list, which YAML reads too
  local word list=""
  for word in "$@"; do
    word=${word//\\/\\\\}
    list+=", \"${word//\"/\\\"}\""
  done
  printf '[%s]' "${list#, }"
}

placement() { # Which nodes; tolerations let the pod onto those from which others are kept
  local spot_nodes=cloud.google.com/gke-spot
  [[ -z $account ]] || echo "              serviceAccountName: \"$account\""
  echo "              nodeSelector:"
  [[ -z $tpu ]] || echo "                cloud.google.com/gke-tpu-accelerator: \"$tpu\""
  [[ -z $tpu ]] || echo "                cloud.google.com/gke-tpu-topology: \"$topology\""
  [[ -z $gpu ]] || echo "                cloud.google.com/gke-accelerator: \"$gpu\""
  [[ -z $spot ]] || echo "                $spot_nodes: \"true\""
  echo "              tolerations:"
  echo "                - {key: ${resource%:*}, operator: Exists, effect: NoSchedule}"
  [[ -z $spot ]] || echo "                - {key: $spot_nodes, operator: Equal, value: \"true\", effect: NoSchedule}"
}

alone() { # A slice is a node pool; no other job may have a part of it
  [[ -z $tpu ]] || echo "  annotations: {alpha.jobset.sigs.k8s.io/exclusive-topology: cloud.google.com/gke-nodepool}"
}

environment() { # On TPUs JAX finds the other hosts by itself, from what GKE tells each pod
  [[ -z $secret ]] || echo "                  envFrom: [{secretRef: {name: \"$secret\"}}]"
  [[ -z $gpu ]] || cat <<END
                  env:
                    - {name: JAX_COORDINATOR_ADDRESS, value: "$name-hosts-0-0.$name:8476"}
                    - {name: JAX_NUM_PROCESSES, value: "$nodes"}
                    - name: JAX_PROCESS_ID
                      valueFrom:
                        fieldRef: {fieldPath: "metadata.annotations['batch.kubernetes.io/job-completion-index']"}
END
}

# A container that ends with 1 or 2 has an error for the user to mend, unless its node was taken away: the Job fails by
# its podFailurePolicy, and the set with it. Whatever else ends one, a hang (75), a signal (130), a lost node, restarts
# the whole set, since the processes of a run live and die together.
jobset() {
  local resource="google.com/tpu: $chips"
  [[ -n $tpu ]] || resource="nvidia.com/gpu: $gpus"
  cat <<END
apiVersion: jobset.x-k8s.io/v1alpha2
kind: JobSet
metadata:
  name: "$name"
  namespace: "$namespace"
$(alone)
spec:
  network: {enableDNSHostnames: true, subdomain: "$name"}
  failurePolicy:
    maxRestarts: $restarts
    rules:
      - {action: FailJobSet, onJobFailureReasons: [PodFailurePolicy]}
  replicatedJobs:
    - name: hosts
      replicas: 1
      template:
        spec:
          completionMode: Indexed
          completions: $nodes
          parallelism: $nodes
          backoffLimit: 0
          podFailurePolicy:
            rules:
              - {action: Count, onPodConditions: [{type: DisruptionTarget, status: "True"}]}
              - action: FailJob
                onExitCodes: {containerName: cooper, operator: In, values: [1, 2]}
          template:
            spec:
              restartPolicy: Never
              terminationGracePeriodSeconds: 120
$(placement)
              volumes:
                - {name: shared-memory, emptyDir: {medium: Memory}}
              containers:
                - name: cooper
                  image: "$image"
                  command: $(json cooper "$program" "$@")
                  volumeMounts:
                    - {name: shared-memory, mountPath: /dev/shm}
                  resources: {limits: {$resource}}
$(environment)
END
}

if [[ -n $DRY ]]; then
  jobset "$@"
else
  # A JobSet cannot be changed; deleting it lets the program save.
  "${kubectl[@]}" delete jobset "$name" --ignore-not-found --cascade=foreground --wait
  jobset "$@" | "${kubectl[@]}" apply --filename -
  echo "started; launch/gke.sh --name $name --namespace $namespace --logs follows it, --stop ends it"
fi
