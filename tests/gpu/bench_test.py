"""bench.sh against small fakes: what it runs, that it goes on where it stopped and after a failure, its files and exit code.

Every fake is this file under another name, which behaves as FAKE_MODE says.
"""
import json, os, pathlib, shutil, subprocess, sys, tempfile, time, unittest

SOURCE = pathlib.Path(__file__).resolve().parent
EVERY_PART = ["peer-eager", "peer-graph", "peer-compile", "peer-compile-graph", "peer-kernels", "ours", "pair", "kernels", "bandwidth", "plans"]
RATES = {"eager": 100, "graph": 300, "graph16": 400, "compile": 200, "compile-graph": 250}
NCU_TABLE = """==PROF== Disconnected
"ID","Process ID","Kernel Name","dram__bytes_read.sum","dram__bytes_write.sum","gpu__time_duration.sum"
"","","","byte","byte","ns"
"0","7","conv(float *, int)","1,000","500","2000"
"1","7","relu","100","100","500"
"2","7","conv(float *, int)","1000","500","3000"
"""


def option(name, default=""):
    return sys.argv[sys.argv.index(name) + 1] if name in sys.argv else default


def fake_side(framework, mode_list):
    modes = os.environ.get("FAKE_MODE", "").split()
    failed = False
    for precision in option("--precision", "tf32").split(","):
        for mode in mode_list:
            if f"{mode}-fails" in modes:
                print(f"RuntimeError: {mode} cannot", file=sys.stderr)
                failed = True
                continue
            if f"{mode}-hangs" in modes:
                time.sleep(60)
            row = {"framework": framework, "version": "1", "device": "cuda", "workload": option("--workloads"), "phase":
                   option("--phases"), "dtype": precision, "mode": mode, "batch": 32, "threads": None, "median_ms": 1,
                   "min_ms": 1, "samples_per_s": RATES[mode], "loss": 1, "peak_bytes": 1}
            print(json.dumps(row), flush=True)
            if "--kernels" in sys.argv:
                pathlib.Path(option("--kernels")).write_text(json.dumps({**row, "kernel": "conv", "launches": 3, "us": 9, "bytes": None}))
    return 1 if failed else 0


def fake(name):
    modes = os.environ.get("FAKE_MODE", "").split()
    if "FAKE_LOG" in os.environ and name != "nvidia-smi":
        with open(os.environ["FAKE_LOG"], "a") as log:
            log.write(f"{name} {' '.join(sys.argv[1:])}\n")
    if name == "torch_bench.py":
        return fake_side("pytorch", option("--modes").split(","))
    if name == "bench":
        return fake_side("libdnn", ["eager"])
    if name == "nvidia-smi":
        print("NVIDIA H100 80GB HBM3, 580.95.05, 1980 MHz, 2619 MHz, 100 W, 40, 0 %, 0x0")
    elif name == "ncu":
        if "no-counters" in modes:
            print("==ERROR== ERR_NVGPUCTRPERM")
            return 1
        command = sys.argv[next(i for i, word in enumerate(sys.argv) if i and "/" in word):]
        print(subprocess.run(command, capture_output=True, text=True).stdout, end="")
        print(NCU_TABLE, end="")
    elif name == "dnn_benchmark":
        family = option("--device=cuda").removeprefix("--benchmark_filter=^").rstrip("/")
        if f"{family}-fails" in modes:
            print("dnn_benchmark: no memory", file=sys.stderr)
            return 1
        print(json.dumps({"context": {}, "benchmarks": [
            {"name": f"{family}/a", "real_time": 5, "bytes_per_second": 4e12, "of_copy": 0.9, "FLOP/s": 0},
            {"name": f"{family}/b", "error_occurred": True, "error_message": "no kernel"}]}))
    elif name == "dnn_conv_plans":
        first = int(sys.argv[1])
        for graph in range(first, first + 2):
            print(json.dumps({"graph": graph, "plan": "eng1", "us": 5}))
            print(json.dumps({"done": graph}))
        print(json.dumps({"graph": first + 2, "plan": "eng2", "us": 5}))  # of a graph that is not done
        return 3 if first < 4 else 0
    return 0


class Bench(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)
        self.out, self.log = self.root / "out", self.root / "log"
        for name in ("bench.sh", "bench.py", "environment.sh"):
            shutil.copy(SOURCE / name, self.root)
        for name in ("torch_bench.py", "pack/bin/bench", "pack/bin/dnn_benchmark", "pack/bin/dnn_conv_plans", "tools/nvidia-smi", "tools/ncu"):
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"#!{sys.executable}\n" + pathlib.Path(__file__).read_text())
            path.chmod(0o755)
        (self.root / "pack" / "manifest.json").write_text("{}")

    def bench(self, part, mode="", **variables):
        done = subprocess.run(["bash", self.root / "bench.sh", self.out, part], capture_output=True, text=True, env={
            "PATH": f"{self.root / 'tools'}:{pathlib.Path(sys.executable).parent}:/usr/bin:/bin", "FAKE_MODE": mode,
            "FAKE_LOG": str(self.log), "DNN_PACK": str(self.root / "pack"), "DNN_BENCH_WORKLOADS": "mlp,resnet50",
            "DNN_BENCH_PRECISION": "tf32", "DNN_BENCH_ROUNDS": "2", **variables})
        self.said = done.stdout + done.stderr
        return done.returncode

    def rows(self, kind):
        path = self.out / f"h100-{kind}.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def calls(self):
        return self.log.read_text().splitlines() if self.log.exists() else []

    def test_modes_of_the_peer_without_a_pack(self):
        shutil.rmtree(self.root / "pack")
        self.assertEqual(self.bench("peer-graph"), 0, self.said)
        self.assertEqual([(r["workload"], r["phase"], r["mode"]) for r in self.rows("modes")],
                         [(w, p, m) for w in ("mlp", "resnet50") for p in ("train", "infer") for m in ("graph", "graph16")])
        self.assertEqual(len(self.calls()), 4)
        self.assertEqual(self.bench("peer-graph"), 0)
        self.assertEqual(len(self.calls()), 4, "what is there is not measured again")
        self.assertEqual(self.rows("machine")[0]["before"]["clocks.sm"], "1980 MHz")

    def test_a_mode_that_fails_is_told_and_not_tried_again(self):
        self.assertEqual(self.bench("peer-graph", "graph-fails"), 1)
        self.assertEqual({r["mode"] for r in self.rows("modes")}, {"graph16"})
        self.assertIn("peer-graph: mlp train tf32 graph: ended with 1: RuntimeError: graph cannot", (self.out / "failures.txt").read_text())
        calls = len(self.calls())
        self.assertEqual(self.bench("peer-graph"), 1)
        self.assertEqual(len(self.calls()), calls)

    def test_out_of_time_goes_on_with_the_next_call(self):
        self.assertEqual(self.bench("peer-graph", "graph16-hangs", DNN_BENCH_SECONDS="12"), 3, "other cases are left")
        self.assertIn("mlp train tf32 graph16: ended with -9", self.said)
        self.assertEqual([r["mode"] for r in self.rows("modes")][0], "graph")
        shutil.rmtree(self.out)
        self.assertEqual(self.bench("plans"), 3, self.said)
        self.assertIn("not complete, call it again", self.said)
        self.assertEqual(self.bench("plans"), 3)
        self.assertEqual(self.bench("plans"), 0)
        self.assertEqual([r["graph"] for r in self.rows("plans")], [0, 1, 2, 3, 4, 5])
        self.assertEqual([call.split()[1] for call in self.calls() if "plans" in call], ["0", "2", "4"])

    def test_pairs_take_turns_with_the_best_mode(self):
        for part in ("peer-eager", "peer-graph"):
            self.bench(part)
        self.log.unlink()
        self.assertEqual(self.bench("pair"), 0, self.said)
        self.assertEqual([call.split()[0] for call in self.calls()], ["bench", "torch_bench.py"] * 8)
        self.assertEqual([r["mode"] for r in self.rows("torch")], ["graph16"] * 8)
        self.assertEqual([r["round"] for r in self.rows("dnn")], [0, 1] * 4)
        self.assertIn("--no-peaks", self.calls()[0])

    def test_pairs_need_the_peer_first(self):
        self.assertEqual(self.bench("pair"), 1)
        self.assertIn("mlp train tf32: no mode of PyTorch was measured, expected the peer's parts before", self.said)

    def test_ours_alone(self):
        self.assertEqual(self.bench("ours"), 0, self.said)
        self.assertEqual(len(self.rows("alone")), 4)

    def test_kernels_have_time_and_bytes(self):
        self.assertEqual(self.bench("kernels"), 0, self.said)
        self.assertEqual([(r["framework"], r["kernel"], r["launches"], r["us"], r["bytes"]) for r in self.rows("kernels-dnn")],
                         [("libdnn", "conv(float *, int)", 2, 5.0, 3000.0), ("libdnn", "relu", 1, 0.5, 200.0)])
        self.assertIn("--mark-step", self.calls()[-1])
        self.assertEqual(self.bench("peer-kernels"), 0, self.said)
        self.assertEqual({r["mode"] for r in self.rows("kernels-torch")}, {"eager", "compile"})

    def test_kernels_without_counters(self):
        self.assertEqual(self.bench("kernels", "no-counters"), 1)
        self.assertIn("tf32 eager: ended with 1: ==ERROR== ERR_NVGPUCTRPERM", self.said)
        self.assertEqual(self.bench("peer-kernels", "no-counters"), 0, self.said)
        self.assertEqual([(r["kernel"], r["bytes"]) for r in self.rows("kernels-torch")], [("conv", None)] * 2)
        (self.root / "tools" / "ncu").unlink()
        shutil.rmtree(self.out)
        self.assertEqual(self.bench("kernels"), 1)
        self.assertIn("there is no ncu", self.said)

    def test_bandwidth_goes_on_behind_a_family_that_fails(self):
        self.assertEqual(self.bench("bandwidth", "norm-fails"), 1)
        self.assertIn("bandwidth: norm: ended with 1: dnn_benchmark: no memory", (self.out / "failures.txt").read_text())
        rows = self.rows("bandwidth")
        self.assertEqual((len(rows), rows[0]["of_copy"], rows[1]["error"]), (20, 0.9, "no kernel"))
        self.assertEqual(len({row["family"] for row in rows}), 10)
        calls = len(self.calls())
        self.assertEqual(self.bench("bandwidth"), 1, "what is there or failed is not tried again")
        self.assertEqual(len(self.calls()), calls)

    def test_a_dry_run_only_prints(self):
        for part in EVERY_PART:
            self.assertEqual(self.bench(part, DNN_BENCH_DRY="1"), 0, self.said)
            self.assertIn("torch_bench.py" if part.startswith("peer") else "/bin/", self.said)
        self.assertEqual(self.bench("pair", DNN_BENCH_DRY="1", DNN_BENCH_BATCH="512"), 0, self.said)
        self.assertEqual([line.count("--batch 512") for line in self.said.splitlines() if "--workloads" in line], [1] * 16)
        self.assertEqual(self.calls(), [])

    def test_usage(self):
        self.assertEqual(self.bench("everything"), 2)
        self.assertIn(f"bench: there is no part everything, expected one of {', '.join(EVERY_PART)}", self.said)
        done = subprocess.run(["bash", SOURCE / "bench.sh", "--help"], capture_output=True, text=True)
        self.assertEqual(done.returncode, 2)
        for part in EVERY_PART:
            self.assertIn(part, done.stderr)


if __name__ == "__main__":
    name = pathlib.Path(sys.argv[0]).name
    if name != "bench_test.py":
        sys.exit(fake(name))
    unittest.main()
