# Shared by the launchers; sourced, never run.
# shellcheck shell=bash disable=SC2034

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
DRY="" # Not empty: print commands instead of running them.

fail() { # MESSAGE: a mistake of the user
  echo "error: $1" >&2
  exit 2
}

usage() { # SCRIPT: its head comment is its help
  sed -n '2,/^$/{s/^# \{0,1\}//;p;}' "$1"
}

need() { # FLAG ARGUMENTS...: fail where the flag has no value
  [[ $# -ge 2 ]] || fail "$1 needs a value"
}

count() { # FLAG VALUE: fail where the value is no positive whole number
  [[ $2 =~ ^[1-9][0-9]*$ ]] || fail "$1 $2: must be a whole number of at least 1"
}

filled() { # FLAG VALUE: the value; where there is none, a placeholder in a dry run and an error otherwise
  if [[ -n $2 ]]; then
    echo "$2"
  elif [[ -n $DRY ]]; then
    echo "<${1#--}>"
  else
    fail "no $1; give $1 <${1#--}>"
  fi
}

quoted() { # WORDS...: one line that a shell reads back as these words
  local word line=""
  for word in "$@"; do
    if [[ ! $word =~ ^[A-Za-z0-9_./:=,@%+~-]+$ ]]; then word="'${word//\'/\'\\\'\'}'"; fi
    line+=" $word"
  done
  printf '%s\n' "${line# }"
}

do_it() { # COMMAND...: run it, or print it in a dry run
  if [[ -n $DRY ]]; then quoted "$@"; else "$@"; fi
}

warn_of_local_dir() { # CONFIG OPTIONS...: say so where nothing names a directory on an object store
  if [[ " $* " != *gs://* ]] && ! grep -qs gs:// "$1"; then
    echo "warning: no gs:// in $1 or its options: what a machine of a pod writes on its own disk is lost with it;" \
      "give --dir gs://<bucket>/<run>" >&2
  fi
}

find_cooper() { # Set COOPER_CMD, the words that start the program
  if [[ -n ${COOPER:-} ]]; then
    read -ra COOPER_CMD <<<"$COOPER"
  elif command -v cooper >/dev/null; then
    COOPER_CMD=(cooper)
  elif [[ -x $HERE/.venv/bin/cooper ]]; then
    COOPER_CMD=("$HERE/.venv/bin/cooper")
  else
    COOPER_CMD=(python3 -m cooper_jax)
  fi
}

await() { # PID: wait for the end of a child, also where signals interrupt the waiting; set CODE
  while CODE=0; wait "$1" || CODE=$?; kill -0 "$1" 2>/dev/null; do :; done
}

# Exit codes of `cooper` that end a run for good: it is done (0), the user must mend something (1, 2), or a signal
# stopped it and all is saved (130). Any other, such as 75 of a run that hung, or 134 of one that lost another host,
# is worth another start: the run continues from its last checkpoint.
is_final() { # EXIT CODE
  [[ $1 == 0 || $1 == 1 || $1 == 2 || $1 == 130 ]]
}
