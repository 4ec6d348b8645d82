# Behind the header that launch.py writes: it sets `command`, an array, `devices`, `signal_s` and
# `max_restarts`.
set -u

# JAX takes one device a process under Slurm, unless it is told.
[[ -z $devices ]] || export JAX_LOCAL_DEVICE_IDS=$devices
limit_is_near=0

say() { echo "job.sh: $*" >&2; }

requeue() {
  if ((${SLURM_RESTART_COUNT:-0} >= max_restarts)); then
    say "has been started again $max_restarts times (--max_restarts); sbatch of this file goes on"
    return 1
  fi
  # A job that somebody cancels ends alike, and is not to come back.
  [[ $(scontrol show job "$SLURM_JOB_ID" --oneliner) == *" JobState=RUNNING "* ]] || return 1
  say "goes on in the same job"
  scontrol requeue "$SLURM_JOB_ID"
}

# Of Slurm, `signal_s` seconds before the end. What does not end in time, as it is not training, has
# its journal.
# shellcheck disable=SC2317  # A signal calls it.
near_limit() {
  limit_is_near=1
  say "the time limit is near"
  # Of the job's steps, not of this script.
  scancel --signal=TERM "$SLURM_JOB_ID"
  (
    sleep $((signal_s > 40 ? signal_s - 20 : signal_s / 2))
    requeue
  ) >/dev/null 2>&1 &
  watch_pid=$!
}
trap near_limit USR1
# Told with the processes, when the job is preempted; they have the time to keep their state.
trap : TERM

# Each process ends with the others by itself, and may be keeping its state until then.
srun --kill-on-bad-exit=0 "${command[@]}" &
srun_pid=$!
# A signal ends a wait before its time.
while kill -0 "$srun_pid" 2>/dev/null; do wait "$srun_pid"; done
wait "$srun_pid"
code=$?
[[ -z ${watch_pid:-} ]] || kill "$watch_pid" 2>/dev/null

say "the processes ended with exit code $code"
# 75: the state is kept. 143: ended by SIGTERM. 2: bad input, which stays bad.
if ((code == 75 || code == 143 || (limit_is_near && code != 0 && code != 2))); then
  if requeue; then
    # Slurm ends this script.
    sleep "${SPFTSQL_REQUEUE_S:-300}"
  fi
fi
exit "$code"
