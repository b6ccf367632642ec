"""Runs a command whose system calls fail: refuse.py NUMBER:ERRNO[,...] COMMAND [ARGUMENT ...]

A seccomp filter on ourselves, which needs no rights, kept across exec.
"""

import ctypes
import os
import struct
import sys

PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
SECCOMP_RET_ERRNO, SECCOMP_RET_ALLOW = 0x00050000, 0x7FFF0000


def instruction(code, jump_true, jump_false, operand):
    return struct.pack("HBBI", code, jump_true, jump_false, operand)


program = instruction(0x20, 0, 0, 0)  # load the system call's number
for refused in sys.argv[1].split(","):
    number, errno = map(int, refused.split(":"))
    program += instruction(0x15, 0, 1, number)  # equal: go on, otherwise skip one
    program += instruction(0x06, 0, 0, SECCOMP_RET_ERRNO | errno)  # return
program += instruction(0x06, 0, 0, SECCOMP_RET_ALLOW)  # return
buffer = ctypes.create_string_buffer(program)
header = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(buffer))
libc = ctypes.CDLL(None, use_errno=True)
zero = ctypes.c_ulong(0)
if libc.prctl(PR_SET_NO_NEW_PRIVS, ctypes.c_ulong(1), zero, zero, zero) != 0:
    sys.exit("no_new_privs: " + os.strerror(ctypes.get_errno()))
mode = ctypes.c_ulong(SECCOMP_MODE_FILTER)
if libc.prctl(PR_SET_SECCOMP, mode, ctypes.create_string_buffer(header), zero, zero) != 0:
    sys.exit("seccomp: " + os.strerror(ctypes.get_errno()))
os.execvp(sys.argv[2], sys.argv[2:])
