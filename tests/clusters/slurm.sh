#!/bin/sh
#SBATCH --array=0-7
#SBATCH --requeue
#SBATCH --open-mode=append
# sbatch slurm.sh LIST DIR, both on a file system that all nodes share.
ringhaul --slice auto -i "$1" -d "$2"
code=$?
# What may pass is tried again, three times; what stays is for a person.
case $code in
3 | 4 | 5 | 6 | 9 | 10 | 11 | 15 | 19 | 21 | 22 | 23 | 25 | 26)
    again=yes ;;
129 | 130 | 137 | 143) # stopped, or killed
    again=yes ;;
esac
if [ "$again" ] && [ "${SLURM_RESTART_COUNT:-0}" -lt 3 ]; then
    scontrol requeue "$SLURM_JOB_ID"
fi
exit $code
