"""Downloads with ringhaul and shows how it goes.

progress.py URL, or progress.py -i LIST, and any other option of ringhaul.
"""
import json
import subprocess
import sys

command = ["ringhaul", "--json", "--quiet", *sys.argv[1:]]
pipe = subprocess.PIPE
with subprocess.Popen(command, stdout=pipe, encoding="utf-8") as ringhaul:
    for line in ringhaul.stdout:
        said = json.loads(line)
        if now := said.get("progress"):
            share, rate = now["share"] or 0, now["bytes_per_second"] or 0
            print(f"{share:4.0%} {rate / 1e6:.1f} MB/s", flush=True)
            for file in now["active"]:
                print(f"  {file['name']}: {file['bytes']:,} bytes")
        elif end := said.get("summary"):
            print(f"{end['files_done']} done, {end['files_failed']} failed")
        else:
            cause = f" ({said['error']['text']})" if said["error"] else ""
            print(f"{said['status']}: {said['path']}{cause}")
sys.exit(ringhaul.returncode)
