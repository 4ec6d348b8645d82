#!/usr/bin/env bash
# What happens on each worker of a TPU; launch.py calls it through ssh, in the folder of the code.
#   worker.sh mount bucket NAME FOLDER | nfs HOST:/EXPORT FOLDER | folder FOLDER
#   worker.sh start COMMAND...   starts it, unless it is at work; it goes on without a connection
#   worker.sh follow             waits for it, ends with its exit code
#   worker.sh logs | stop        the end of its log; SIGTERM to it
set -euo pipefail
state=$(cd .. && pwd)
lock=$state/lock log=$state/log code=$state/exit_code pid=$state/pid

# Who is at work holds the lock, and so do its child processes: none has the TPU then.
is_at_work() { ! flock --nonblock "$lock" true; }

case $1 in
mount)
  kind=$2
  if [[ $kind == folder ]]; then
    [[ -d $3 && -w $3 ]] || { echo "$3: no folder there that can be written to" >&2; exit 2; }
    exit 0
  fi
  what=$3 folder=$4
  mountpoint --quiet "$folder" && exit 0
  sudo mkdir -p "$folder"
  if [[ $kind == bucket ]]; then
    command -v gcsfuse >/dev/null || {
      echo "gcsfuse is not installed; have --setup install it, or use --shared_dir" >&2
      exit 2
    }
    sudo chown "$(id -u):$(id -g)" "$folder"
    # Nothing is cached of what other hosts may have written; folders are renamed by the run.
    gcsfuse --implicit-dirs --metadata-cache-ttl-secs=0 --metadata-cache-negative-ttl-secs=0 \
      --rename-dir-limit=100000 "$what" "$folder"
  else
    command -v mount.nfs >/dev/null || sudo apt-get install --yes --quiet nfs-common
    sudo mount -t nfs -o hard,actimeo=0 "$what" "$folder"
  fi
  ;;
start)
  shift
  exec 9>>"$lock"
  flock --nonblock 9 || { echo "is at work already"; exit 0; }
  rm -f "$code" "$pid"
  setsid nohup bash "$0" run "$@" </dev/null >>"$log" 2>&1 &
  ;;
run)
  shift
  # A machine that is shut down tells this shell too, which then waits for what is being kept.
  trap : TERM
  ended=0
  "$@" &
  echo $! >"$pid"
  while kill -0 $! 2>/dev/null; do wait $! || true; done
  wait $! || ended=$?
  # Whole or not there.
  echo "$ended" >"$code.unfinished"
  mv "$code.unfinished" "$code"
  ;;
follow)
  while [[ ! -f $code ]]; do
    if ! is_at_work && [[ ! -f $code ]]; then
      echo "it ended without an exit code: was it killed, or the machine started anew?" >&2
      exit 137
    fi
    sleep "${SPFTSQL_FOLLOW_S:-5}"
  done
  exit "$(cat "$code")"
  ;;
logs) tail -n 40 "$log" ;;
stop) ! is_at_work || kill -TERM "$(cat "$pid")" ;;
*)
  echo "worker.sh: what to do?" >&2
  exit 2
  ;;
esac
