import subprocess, sys, ray

PERMANENT = {1, 2, 7, 8, 12, 13, 14, 16, 17, 18, 20, 24}
LIST, DIR, N = sys.argv[1], sys.argv[2], int(sys.argv[3])

class TryAgain(Exception):
    pass

@ray.remote(num_cpus=0.25, max_retries=3, retry_exceptions=[TryAgain])
def fetch(index):
    run = ["ringhaul", "--slice", f"{index}/{N}", "-i", LIST, "-d", DIR]
    ended = subprocess.run(run, stderr=subprocess.PIPE, text=True)
    if ended.returncode and ended.returncode not in PERMANENT:
        raise TryAgain(ended.stderr[-300:])
    return ended.returncode, ended.stderr.splitlines()[-1]

ray.init()
ended = ray.get([fetch.remote(index) for index in range(1, N + 1)])
print(*(line for _, line in ended), sep="\n")
sys.exit(max(code for code, _ in ended))
