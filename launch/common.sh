# Shared by the launchers; sourced, never run.
# shellcheck shell=bash disable=SC2034

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

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

quoted() { # WORDS...: one line that a shell reads back as these words
  local word line=""
  for word in "$@"; do
    if [[ $word =~ ^[A-Za-z0-9_./:=,@%+~-]+$ ]]; then line+=" $word"; else line+=" $(printf %q "$word")"; fi
  done
  printf '%s\n' "${line# }"
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
