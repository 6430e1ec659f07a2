#!/usr/bin/env python3
"""cases.py BUILD: prints the binaries of GoogleTest below BUILD that have cases labelled cuda, as CTest knows them.

check.sh has no CTest and finds these cases by the end of their names, so a case whose name ends otherwise is an error.
"""
import json
import os
import subprocess
import sys

build = os.path.realpath(sys.argv[1])
listing = subprocess.run(["ctest", "--test-dir", build, "--show-only=json-v1", "-L", "^cuda$"], check=True,
                         capture_output=True, text=True).stdout
tests = [test for test in json.loads(listing)["tests"] if any(word.startswith("--gtest_filter") for word in test.get("command", []))]
odd = [test["name"] for test in tests if not test["name"].endswith(("/cuda", ".cuda"))]
if odd or not tests:
    sys.exit(f"cases: {len(tests)} cases labelled cuda, expected some, whose names end in /cuda or .cuda (these do not: {odd})")
print("\n".join(sorted({os.path.relpath(test["command"][0], build) for test in tests})))
