"""check.sh against a pack of small fakes: what it counts, that it goes on after a failure, its report and exit code.

Every fake is this file under another name: run as bin/dnn_gpu_test, say, it behaves as FAKE_MODE says.
"""
import json, os, pathlib, re, shutil, subprocess, sys, tempfile, time, unittest

SOURCE = pathlib.Path(__file__).resolve().parent
GPU_CASES = {"Devices/Step.": ["One/cuda", "Two/cuda", "One/cpu"], "Devices/LossCurves.": ["Same/cuda", "Same/cpu"],
             "Devices/Cifar.": ["Learns/cuda", "Learns/cpu"]}
OPS_CASES = {"relu.": ["float32.cuda", "strided.cuda", "float32.cpu"]}


def matches(name, pattern):
    positive, _, negative = pattern.partition("-")
    def any_of(globs):
        return any(re.fullmatch(g.replace(".", r"\.").replace("*", ".*"), name) for g in globs.split(":") if g)
    return any_of(positive) and not any_of(negative)


def fake_gtest(cases, modes):
    options = dict(a.split("=", 1) for a in sys.argv[1:] if "=" in a)
    pattern = options.get("--gtest_filter", os.environ.get("GTEST_FILTER", "*"))
    chosen = {suite: [n for n in names if matches(suite + n, pattern)] for suite, names in cases.items()}
    if "--gtest_list_tests" in sys.argv:
        for suite, names in chosen.items():
            if names:
                print(suite + "  # TypeParam")
                print("".join(f"  {name}  # GetParam() = 1\n" for name in names), end="")
        return 0
    failed, passed = False, 0
    for suite, names in chosen.items():
        for name in names:
            print(f"[ RUN      ] {suite}{name}", flush=True)
            if name.startswith("Two") and "crash" in modes:
                os.kill(os.getpid(), 11)
            if name.startswith("Two") and "hang" in modes:
                time.sleep(60)
            if name.startswith("Two") and "fail" in modes:
                failed = True
                print("step_test.cpp:7: Failure\n3 is not 4\n[  FAILED  ] Devices/Step.Two/cuda, where GetParam() = 1-byte object <01> (1 ms)")
            elif name.endswith("cuda") and "no-gpu" in modes:
                print(f"support.h:23: Skipped\nno NVIDIA driver is installed\n[  SKIPPED ] {suite}{name} (0 ms)")
            elif name.startswith("strided"):
                print(f"strided_test.cpp:1: Skipped\nparameters are contiguous\n[  SKIPPED ] {suite}{name} (0 ms)")
            else:
                passed += 1
                print(f"[       OK ] {suite}{name} (2 ms)")
    print(f"[  PASSED  ] {passed} tests.", flush=True)
    if "dies-at-exit" in modes and "relu." in cases:
        os.kill(os.getpid(), 6)
    return 1 if failed else 0


def fake(name):
    modes = os.environ.get("FAKE_MODE", "").split()
    if name == "dnn_gpu_test":
        return fake_gtest(GPU_CASES, modes)
    if name == "dnn_ops_test":
        return fake_gtest(OPS_CASES, modes)
    if name == "dnn-doctor":
        print("libdnn          0.1.0\nCUDA driver     13.1\nCUDA runtime    13.0\ncuDNN           9.19.0\ncuBLASLt        13.1.0")
        print("default device  " + ("cpu: no NVIDIA driver is installed" if "no-gpu" in modes else "cuda:0: it is the first"))
    elif name == "mnist":
        print(f"test accuracy: {'97.00' if 'inaccurate' in modes else '99.12'} % (mnist, 10000 images)")
    elif name == "nvidia-smi":
        print("NVIDIA H100 80GB HBM3, 580.95.05")
    elif name == "compute-sanitizer":
        if "sanitizer-unable" in modes:
            print("========= COMPUTE-SANITIZER\n========= Error: Target application returned an error")
            return 1
        print("[  PASSED  ] 5 tests.\n========= " + ("ERROR SUMMARY: 2 errors" if "sanitizer-finds" in modes else "ERROR SUMMARY: 0 errors"))
        return 99 if "sanitizer-finds" in modes else 0
    return 0


class Check(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)
        self.pack, self.out = self.folder / "pack", self.folder / "out"
        for name in ("bin/dnn_gpu_test", "bin/dnn_ops_test", "bin/dnn-doctor", "bin/mnist", "tools/nvidia-smi",
                     "tools/compute-sanitizer"):
            path = self.pack / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"#!{sys.executable}\n" + pathlib.Path(__file__).read_text())
            path.chmod(0o755)
        (self.pack / "data").mkdir()
        (self.pack / "manifest.json").write_text(json.dumps({"commit": "c0ffee" * 6, "binaries": ["dnn_ops_test", "dnn_gpu_test"]}))

    def check(self, mode="", seconds=60, device="cuda"):
        """Runs check.sh; its exit code, and the report."""
        python = pathlib.Path(sys.executable).parent
        done = subprocess.run(["bash", SOURCE / "check.sh", self.out], capture_output=True, text=True, env={
            "PATH": f"{self.pack / 'tools'}:{python}:/usr/bin:/bin", "FAKE_MODE": mode, "DNN_PACK": str(self.pack),
            "DNN_CHECK_SECONDS": str(seconds), "DNN_CHECK_DEVICE": device})
        self.text = (self.out / "report.md").read_text()
        report = json.loads((self.out / "report.json").read_text())
        summary = f"{report['passed']} passed, {report['failed']} failed, {report['not_possible']} not possible"
        self.assertIn(summary, self.text)
        self.assertEqual(done.stdout.splitlines()[-1], summary, done.stderr)
        self.assertEqual(done.returncode, 1 if report["failed"] else 0, done.stdout + done.stderr)
        self.assertTrue(report["finished"])
        self.assertEqual(len(report["parts"]), 6)
        self.assertLessEqual(len(list(self.out.iterdir())), 8)
        return report

    def failures(self, report):
        return {failure["name"]: failure["detail"] for failure in report["failures"]}

    def test_everything_passes(self):
        report = self.check()
        # doctor, four cases of which one is skipped, curves, MNIST, CIFAR-10, four tools over two programs
        self.assertEqual((report["passed"], report["failed"], report["not_possible"], report["skipped"]), (15, 0, 0, 1))
        self.assertEqual(report["gpu"], "NVIDIA H100 80GB HBM3")
        self.assertEqual(report["driver"], "580.95.05")
        self.assertEqual((report["cuda runtime"], report["cudnn"], report["cublaslt"]), ("13.0", "9.19.0", "13.1.0"))
        self.assertEqual(report["commit"], "c0ffee" * 6)
        self.assertFalse((self.out / "failures.txt").exists())
        self.assertIn("99.12 %", self.text)

    def test_a_failing_case_is_kept_and_the_rest_goes_on(self):
        report = self.check("fail")
        self.assertEqual((report["passed"], report["failed"]), (14, 1))
        self.assertIn("dnn_gpu_test Devices/Step.Two/cuda", self.failures(report))
        self.assertIn("3 is not 4", (self.out / "failures.txt").read_text())

    def test_a_crash_costs_its_own_case_alone(self):
        report = self.check("crash")
        self.assertEqual((report["passed"], report["failed"]), (14, 1))
        self.assertEqual(self.failures(report), {"dnn_gpu_test Devices/Step.Two/cuda": "ended by signal SIGSEGV"})

    def test_a_crash_at_the_end_of_a_process(self):
        report = self.check("dies-at-exit")
        self.assertIn("dnn_ops_test, the end of the process", self.failures(report))
        self.assertEqual(self.failures(report)["dnn_ops_test, the end of the process"], "ended by signal SIGABRT")

    def test_a_hanging_case_runs_out_of_time_and_the_rest_goes_on(self):
        began = time.time()
        report = self.check("hang", seconds=6)
        self.assertLess(time.time() - began, 20)
        self.assertIn("ran out of time", self.failures(report)["dnn_gpu_test Devices/Step.Two/cuda"])

    def test_without_a_gpu(self):
        report = self.check("no-gpu")
        self.assertIn("no GPU: the default device is cpu: no NVIDIA driver", self.failures(report)["dnn-doctor"])
        # Skipped cases are no success.
        self.assertEqual([part["result"] for part in report["parts"]],
                         ["passed" if part["name"] in ("MNIST", "compute-sanitizer") else "failed" for part in report["parts"]])
        self.assertIn("no case ran: no NVIDIA driver is installed", self.failures(report)["test cases that need a GPU"])

    def test_too_many_wrong_digits(self):
        self.assertIn("97.00 %", self.failures(self.check("inaccurate"))["mnist"])

    def test_only_sanitizers_may_be_impossible(self):
        report = self.check("sanitizer-unable")
        self.assertEqual((report["passed"], report["failed"], report["not_possible"]), (7, 0, 8))
        report = self.check("sanitizer-finds")
        self.assertEqual((report["failed"], report["not_possible"]), (8, 0))
        (self.pack / "tools" / "compute-sanitizer").unlink()
        report = self.check()
        self.assertEqual((report["failed"], report["not_possible"]), (0, 8))

    def test_a_missing_program_fails_its_part(self):
        (self.pack / "bin" / "mnist").unlink()
        (self.pack / "bin" / "dnn_ops_test").unlink()
        report = self.check()
        self.assertEqual([part["result"] for part in report["parts"]],
                         ["passed", "failed", "passed", "failed", "passed", "passed"])

    def test_the_cpu_in_place_of_the_gpu(self):
        report = self.check(device="cpu")
        self.assertEqual((report["failed"], report["not_possible"]), (0, 8))
        self.assertEqual(report["device"], "cpu")

    def test_usage(self):
        done = subprocess.run(["bash", SOURCE / "check.sh"], capture_output=True, text=True)
        self.assertEqual(done.returncode, 2)
        self.assertTrue(done.stderr.startswith("check.sh OUT_DIR: everything"), done.stderr)


if __name__ == "__main__":
    name = pathlib.Path(sys.argv[0]).name
    if name != "check_test.py":
        sys.exit(fake(name))
    unittest.main()
