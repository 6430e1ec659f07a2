"""The parts of check.sh, one after the other, and the report on them: check.py PACK OUT_DIR STARTED."""
import concurrent.futures, datetime, json, os, pathlib, re, shutil, signal, subprocess, sys, threading, time, traceback

PASSED, FAILED, NOT_POSSIBLE, SKIPPED = "passed", "failed", "not possible", "skipped"
PACK, OUT = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
BEGAN = float(sys.argv[3])
DEVICE = os.environ.get("DNN_CHECK_DEVICE", "cuda")
SECONDS = float(os.environ.get("DNN_CHECK_SECONDS", "540"))
END = BEGAN + 0.97 * SECONDS  # the rest is for the report
JOBS = max(1, (os.cpu_count() or 1) - 2)
MOST_OUTPUT = 15 << 20  # bytes of failures.txt
CASES_OF_A_PROCESS = 30

# What runs under compute-sanitizer: each kind of kernel once.
SANITIZED = {
    "dnn_ops_test": ":".join(f"{name}.float32.cuda" for name in (
        "relu gelu add softmax cross_entropy batch_norm layer_norm max_pool2d avg_pool2d sum max.values cumsum sort gather "
        "scatter_add dropout interpolate conv2d linear matmul lstm sgd_update_ adam_update_").split()),
    "dnn_gpu_test": "Devices/Chance.Dropout*/cuda:Devices/Errors.*/cuda",
}


def run(command, seconds, env=None):
    """Exit code (None: out of time) and output of a command; what it started ends with it."""
    env = {**os.environ, **(env or {})}
    if any(PACK / "bin" in pathlib.Path(str(argument)).parents for argument in command):
        env["LD_LIBRARY_PATH"] = os.environ["DNN_LIBRARY_PATH"]
    process = subprocess.Popen([str(c) for c in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                               errors="replace", env=env, start_new_session=True)
    try:
        output, _ = process.communicate(timeout=max(0.1, seconds))
        return process.returncode, output
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        return None, process.communicate()[0]


def how_it_ended(code, seconds):
    if code is None:
        return f"ran out of time after {seconds:.0f} s"
    return f"ended by signal {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"


class Part:
    """One part of the check: its results, each (name, outcome, detail, output)."""

    def __init__(self, name, seconds):
        self.name, self.budget = name, seconds
        self.results, self.began, self.seconds = [], time.time(), 0.0
        self.deadline = min(self.began + seconds, END)
        self.notes = []

    def add(self, name, outcome, detail="", output=""):
        self.results.append((name, outcome, detail, output))

    def left(self):
        return self.deadline - time.time()

    def count(self, outcome):
        return sum(result[1] == outcome for result in self.results)

    def outcome(self):
        if self.count(FAILED) or not self.results:
            return FAILED
        return NOT_POSSIBLE if self.count(NOT_POSSIBLE) == len(self.results) else PASSED


# ---- test cases -------------------------------------------------------------------------------------------------------

LINE = re.compile(r"^\[ +(RUN|OK|FAILED|SKIPPED) +\] ([^\s,]+)(?:,.*?)?(?: \(\d+ ms\))?$")


def list_cases(binary, pattern):
    code, output = run([PACK / "bin" / binary, "--gtest_list_tests", f"--gtest_filter={pattern}"], 60)
    if code != 0:
        raise RuntimeError(f"{binary} --gtest_list_tests {how_it_ended(code, 60)}:\n{output}")
    cases, suite = [], ""
    for line in output.splitlines():
        name = line.split("#")[0].rstrip()
        if name.startswith("  "):
            cases.append(suite + name.strip())
        elif name.endswith("."):
            suite = name
    return cases


def run_cases(binary, cases, seconds, env):
    """Runs cases in one process: {case: (outcome, output)} of those that ended, the one it died in, how it ended."""
    code, output = run([PACK / "bin" / binary, "--gtest_color=no"], seconds, {**env, "GTEST_FILTER": ":".join(cases)})
    done, running, text = {}, None, []
    for line in output.splitlines():
        match = LINE.match(line)
        if match and match[1] == "RUN":
            running, text = match[2], []
        elif match and match[2] == running:
            done[running] = ({"OK": PASSED, "FAILED": FAILED, "SKIPPED": SKIPPED}[match[1]], "\n".join(text))
            running = None
        elif running:
            text.append(line)
    wrong = code is None or code < 0 or (code != 0 and all(o != FAILED for o, _ in done.values()))
    return done, running, "\n".join(text), how_it_ended(code, seconds) if wrong else ""


def run_all_cases(part, binary, cases, env=None, jobs=JOBS, case_seconds=120):
    """Spreads cases over processes; a process that dies costs the case it died in, the others run again."""
    lock, waiting = threading.Lock(), [cases[i::max(1, -(-len(cases) // CASES_OF_A_PROCESS))]
                                       for i in range(-(-len(cases) // CASES_OF_A_PROCESS))]

    def worker():
        while True:
            with lock:
                if not waiting:
                    return
                chunk = waiting.pop()
            seconds = min(part.left(), case_seconds)
            if part.left() <= 1:
                with lock:
                    for case in chunk:
                        part.add(f"{binary} {case}", FAILED, "not run: the part ran out of time")
                continue
            done, died_in, output, ending = run_cases(binary, chunk, seconds, env or {})
            with lock:
                for case, (outcome, text) in done.items():
                    part.add(f"{binary} {case}", outcome, text.strip().splitlines()[-1] if outcome == SKIPPED and
                             text.strip() else "", text)
                rest = [case for case in chunk if case not in done and case != died_in]
                if died_in:
                    part.add(f"{binary} {died_in}", FAILED, ending or "it did not end", output)
                elif ending and not rest:
                    part.add(f"{binary}, the end of the process", FAILED, ending, output)
                if rest and (done or died_in):
                    waiting.append(rest)
                elif rest:
                    for case in rest:
                        part.add(f"{binary} {case}", FAILED, f"the process {ending or 'did not run it'}", output)

    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        for future in [pool.submit(worker) for _ in range(jobs)]:
            future.result()


# ---- the parts --------------------------------------------------------------------------------------------------------

FACTS = {"device": DEVICE, "gpu": "none", "driver": "none", "cuda driver": "none", "cuda runtime": "none",
         "cudnn": "none", "cublaslt": "none"}
OWN_PARTS = "*LossCurves*:*Cifar*"  # cases that are parts of their own


def doctor(part):
    code, output = run([PACK / "bin" / "dnn-doctor"], part.left())
    FACTS["doctor"] = output
    if code != 0:
        return part.add("dnn-doctor", FAILED, how_it_ended(code, part.budget), output)
    said = {}
    for line in output.splitlines():
        said.setdefault(line[:16].strip(), line[16:])
    for fact, name in (("cuda driver", "CUDA driver"), ("cuda runtime", "CUDA runtime"), ("cudnn", "cuDNN"),
                       ("cublaslt", "cuBLASLt")):
        FACTS[fact] = said.get(name, "none").split(":")[0]
    if shutil.which("nvidia-smi"):
        code, text = run(["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"], 20)
        if code == 0 and "," in text:
            FACTS["gpu"], FACTS["driver"] = (field.strip() for field in text.splitlines()[0].rsplit(",", 1))
    default = said.get("default device", "")
    if DEVICE == "cuda" and not default.startswith("cuda"):
        return part.add("dnn-doctor", FAILED, f"no GPU: the default device is {default or 'not told'}", output)
    part.add("dnn-doctor", PASSED, f"default device {default}", output)


def cases(part):
    """Every case labelled cuda."""
    for binary in MANIFEST["binaries"]:
        few = "*/cpu:relu.*.cpu:softmax.*.cpu"
        wanted = "*.cuda:*/cuda" if DEVICE == "cuda" else os.environ.get("DNN_CHECK_CASES", few)
        try:
            found = list_cases(binary, f"{wanted}-{OWN_PARTS}")
        except (RuntimeError, OSError) as error:
            part.add(binary, FAILED, "its cases cannot be listed", str(error))
            continue
        run_all_cases(part, binary, found, {"OMP_NUM_THREADS": "1"})


def own_part(pattern, env):
    def run_part(part):
        found = list_cases("dnn_gpu_test", f"*{pattern}*/{DEVICE}")
        if not found:
            part.add(pattern, FAILED, "there is no such case")
        for case in found:
            run_all_cases(part, "dnn_gpu_test", [case], {"OMP_NUM_THREADS": "4", **env}, 1, part.budget)
    return run_part


def curves(part):
    own_part("LossCurves", {"DNN_LOSS_CURVES": str(OUT)})(part)
    for path in sorted(OUT.glob("curves-*.csv")):
        rows = [[float(x) for x in line.split(",")] for line in path.read_text().splitlines()[1:]]
        if rows:
            worst = max(abs(there - here) / max(0.1, abs(here)) for _, here, there in rows)
            part.notes.append(f"{path.stem.split('-')[1]} off by at most {worst:.2g} of the loss")


def mnist(part):
    code, output = run([PACK / "bin" / "mnist", "--device", DEVICE, "--epochs", "5", "--threads", "4"], part.left(),
                       {"DNN_DATA_DIR": str(PACK / "data")})
    found = re.search(r"^test accuracy: ([0-9.]+) % \((.*), (\d+) images\)$", output, re.M)
    if code != 0 or not found:
        return part.add("mnist", FAILED, how_it_ended(code, part.budget), output)
    good = float(found[1]) >= 98.7 and found[2] == "mnist" and found[3] == "10000"
    part.add("mnist", PASSED if good else FAILED, f"{found[0]}, expected at least 98.7 % of MNIST", output)


def sanitizer(part, tool, binary):
    name = f"{tool} {binary}"
    program = shutil.which("compute-sanitizer")
    if DEVICE != "cuda" or program is None:
        return part.add(name, NOT_POSSIBLE, "there is no compute-sanitizer" if DEVICE == "cuda" else "no GPU is used")
    code, output = run([program, "--tool", tool, "--error-exitcode", "99", "--print-limit", "20",
                        PACK / "bin" / binary, f"--gtest_filter={SANITIZED[binary]}", "--gtest_color=no"], part.left(),
                       {"DNN_CUDA_NO_CACHE": "1", "OMP_NUM_THREADS": "2"})
    errors = re.findall(r"(?:ERROR|RACECHECK) SUMMARY: (\d+) ", output)
    tests = re.search(r"\[  PASSED  \] ([1-9]\d*) test", output)
    if code is None:
        return part.add(name, FAILED, how_it_ended(code, part.budget), output)
    if errors and any(int(n) for n in errors):
        return part.add(name, FAILED, f"{errors[-1]} errors", output)
    if code == 0 and errors and tests:
        return part.add(name, PASSED, f"{tests[1]} cases", output)
    # The tool itself did not work if it has no summary, and then no verdict on libdnn.
    first = next((line for line in output.splitlines() if "========= " in line and len(line) > 12), "no output")
    part.add(name, FAILED if errors else NOT_POSSIBLE, f"{how_it_ended(code, part.budget)}: {first}", output)


def sanitizers(part):
    work = [(tool, binary) for tool in ("memcheck", "racecheck", "initcheck", "synccheck") for binary in SANITIZED]
    with concurrent.futures.ThreadPoolExecutor(min(JOBS, len(work))) as pool:
        for future in [pool.submit(sanitizer, part, *one) for one in work]:
            future.result()


def unpack_cifar():
    """Turns the archive of JPEG files into the publisher's files, beside the other parts."""
    if (PACK / "data" / "unpack.py").exists() and not (PACK / "data" / "cifar-10-batches-bin").exists():
        scratch = PACK / "data" / "unpacking"
        code, output = run([sys.executable, PACK / "data" / "unpack.py", scratch], 120)
        if code == 0:
            (scratch / "cifar-10-batches-bin").rename(PACK / "data" / "cifar-10-batches-bin")
        shutil.rmtree(scratch, ignore_errors=True)
        return output
    return ""


def cifar(part):
    UNPACKING.result(timeout=max(1, part.left()))
    own_part("Cifar", {"DNN_DATA_DIR": str(PACK / "data"), "DNN_REQUIRE_DATA": "1"})(part)


# In the order of importance: (name, seconds, function).
PARTS = [
    ("dnn-doctor", 15, doctor),
    ("test cases that need a GPU", 200, cases),
    ("loss curves, CPU against GPU, 50 steps", 60, curves),
    ("MNIST", 90, mnist),
    ("ResNet-20 on CIFAR-10, 200 steps", 60, cifar),
    ("compute-sanitizer", 150, sanitizers),
]


# ---- the report -------------------------------------------------------------------------------------------------------

def totals(parts):
    return {outcome: sum(part.count(outcome) for part in parts) for outcome in (PASSED, FAILED, NOT_POSSIBLE, SKIPPED)}


def cell(text):
    return " ".join(text.split()).replace("|", "\\|")[:300]


def write_report(parts, finished):
    sums = totals(parts)
    summary = f"{sums[PASSED]} passed, {sums[FAILED]} failed, {sums[NOT_POSSIBLE]} not possible"
    failures = [(part.name, *result) for part in parts for result in part.results if result[1] == FAILED]
    lines = [f"# GPU check of libdnn {MANIFEST['commit'][:12]}", "", f"**{summary}**", ""]
    if not finished:
        lines += ["The check is still running, or was killed.", ""]
    facts = {"commit": MANIFEST["commit"], "date": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
             "seconds": round(time.time() - BEGAN), **FACTS}
    lines += ["| | |", "|---|---|"]
    lines += [f"| {name} | {cell(str(value))} |" for name, value in facts.items() if name != "doctor"]
    lines += ["", "| part | result | passed | failed | not possible | skipped | seconds |", "|---|---|---|---|---|---|---|"]
    lines += [f"| {p.name} | {p.outcome()} | {p.count(PASSED)} | {p.count(FAILED)} | {p.count(NOT_POSSIBLE)} | "
              f"{p.count(SKIPPED)} | {p.seconds:.0f} |" for p in parts]
    for part in parts:
        details = [cell(detail) for _, outcome, detail, _ in part.results if detail and outcome in (PASSED, NOT_POSSIBLE)]
        lines += [f"\n{part.name}: {'; '.join(dict.fromkeys(details + part.notes))}"] if details + part.notes else []
    if failures:
        lines += ["", "## Failed", "", "The output stands in failures.txt.", ""]
        lines += [f"* {name}: {cell(detail) or 'see its output'}" for _, name, _, detail, _ in failures]
    if FACTS.get("doctor"):
        lines += ["", "## dnn-doctor", "", "```", FACTS["doctor"].rstrip(), "```"]
    (OUT / "report.md").write_text("\n".join(lines) + "\n")
    (OUT / "report.json").write_text(json.dumps({
        **facts, "finished": finished, "passed": sums[PASSED], "failed": sums[FAILED],
        "not_possible": sums[NOT_POSSIBLE], "skipped": sums[SKIPPED],
        "parts": [{"name": p.name, "result": p.outcome(), "seconds": round(p.seconds, 1), "passed": p.count(PASSED),
                   "failed": p.count(FAILED), "not_possible": p.count(NOT_POSSIBLE), "skipped": p.count(SKIPPED)}
                  for p in parts],
        "failures": [{"part": part, "name": name, "detail": detail} for part, name, _, detail, _ in failures],
    }, indent=1) + "\n")
    if failures:
        text = "".join(f"==== {part}: {name}: {detail}\n{output[-100000:]}\n" for part, name, _, detail, output in failures)
        (OUT / "failures.txt").write_bytes(text.encode()[:MOST_OUTPUT])
    return summary


def main():
    parts = []
    for name, seconds, function in PARTS:
        part = Part(name, seconds)
        try:
            if part.left() <= 1:
                part.add(name, FAILED, "not run: the check ran out of time")
            else:
                function(part)
            if part.count(SKIPPED) == len(part.results):
                reason = part.results[0][2] if part.results else "there was none"
                part.add(name, FAILED, f"no case ran: {reason}")
        except Exception as error:  # a fault of this program is a failure of the part, and the next ones go on
            part.add(name, FAILED, f"{type(error).__name__}: {error}", traceback.format_exc())
        part.seconds = time.time() - part.began
        parts.append(part)
        write_report(parts, False)
        print(f"{part.name}: {part.outcome()} ({part.count(PASSED)} passed, {part.count(FAILED)} failed, "
              f"{part.count(NOT_POSSIBLE)} not possible, {part.count(SKIPPED)} skipped, {part.seconds:.0f} s)", flush=True)
    print(write_report(parts, True))
    return 1 if totals(parts)[FAILED] else 0


if __name__ == "__main__":
    for stale in [OUT / "report.md", OUT / "report.json", OUT / "failures.txt", *OUT.glob("curves-*.csv")]:
        stale.unlink(missing_ok=True)
    MANIFEST = json.loads((PACK / "manifest.json").read_text())
    BACKGROUND = concurrent.futures.ThreadPoolExecutor(1)
    UNPACKING = BACKGROUND.submit(unpack_cifar)
    sys.exit(main())
