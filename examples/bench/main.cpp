// Times libdnn on reference networks, on CPU and GPU: how many samples a second, how near to what the machine can do,
// in how much memory.
//
//   bench                                  every workload on every device that there is
//   bench --devices cpu --workloads lenet5,resnet18 --phases train --threads 2
//   bench --batch 1,8,32 --json scaling.jsonl --report scaling.html
//   bench --profile --workloads resnet18 --phases train --trace step.json     where the time goes
//   bench --from cpu-dnn.jsonl --peer cpu-torch.jsonl --report report.html      measures nothing
//
// A step is a whole optimisation step (train) or a forward pass (infer) on a batch that already lies on the device.
// Standard output has one JSON object a line for each case, the table for people goes to standard error. Each case runs
// in a process of its own, so that its peak memory is its own and its failure nobody else's.
#include <CLI/CLI.hpp>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>

#include "examples/bench/child.h"
#include "examples/bench/machine.h"
#include "examples/bench/measure.h"
#include "examples/bench/profile.h"
#include "examples/bench/report.h"
#include "examples/bench/rows.h"
#include "examples/bench/table.h"

using namespace dnn;
using nlohmann::json;

namespace {

using Names = std::vector<std::string>;

struct Settings {
  Names workloads, phases{"train", "infer"}, devices, precisions, modes{"eager"}, from, peers;
  std::vector<int64_t> batches{0}, scaling;
  int threads = 0;
  double seconds = 3;
  std::string json_file, report_file, trace_file;
  bool alone = false;  // this process measures by itself
  bool peaks = true;   // whether what the devices do at best is measured too
  bool mark = false;
  bool machine = false;
  bool profile = false;
};

// Small enough that every batch is quickly measured.
const Names scaled_workloads{"lenet5", "resnet20-cifar"};

Names known_workloads() {
  Names names;
  for (const Workload& work : workloads()) names.push_back(work.name);
  return names;
}

// Every case that was asked for. Throws ArgumentError, DeviceError for what cannot be measured.
std::vector<Case> cases_of(const Settings& set) {
  std::vector<Case> cases;
  for (const std::string& name : set.devices) {
    const Device device(name);
    if (const std::string why = why_unavailable(device.type()); !why.empty())
      throw DeviceError("device: " + device.str() + " is not available: " + why);
    Names chosen = set.precisions.empty() ? Names{precisions(device).front()} : set.precisions;
    if (set.devices.size() > 1)  // of several devices each does what it can
      std::erase_if(chosen, [&](const std::string& p) {
        const Names own = precisions(device);
        return std::ranges::find(own, p) == own.end();
      });
    const auto add = [&](const std::string& work, const std::vector<int64_t>& batches) {
      for (const std::string& phase : set.phases)
        for (const std::string& precision : chosen)
          for (const std::string& mode : set.modes)
            for (const int64_t batch : batches) {
              if (mode.starts_with("graph") && device.is_cpu() && set.devices.size() > 1) continue;
              cases.push_back({work, phase == "train", device, precision, mode, batch, set.seconds, set.mark});
              check(cases.back());
            }
    };
    for (const std::string& work : set.workloads) add(work, set.batches);
    for (const std::string& work : set.workloads) {
      std::vector<int64_t> others = set.scaling;
      std::erase(others, workload(work).batch(device));
      if (std::ranges::find(scaled_workloads, work) != scaled_workloads.end()) add(work, others);
    }
  }
  if (cases.empty())
    throw ArgumentError("there is nothing to measure, expected a workload, a phase and a precision of a device");
  return cases;
}

Names arguments_of(const Case& c) {
  return {"--alone",
          "--workloads",
          c.workload,
          "--phases",
          c.train ? "train" : "infer",
          "--devices",
          c.device.str(),
          "--precision",
          c.precision,
          "--modes",
          c.mode,
          "--batch",
          std::to_string(c.batch),
          "--seconds",
          std::to_string(c.seconds)};
}

// The last line of a child's output; a failure is told on standard error, and gives none.
std::optional<json> ask_child(const Names& arguments, int threads, const std::string& what) {
  const ChildResult result = run_child(arguments, threads);
  std::string failure = result.failure;
  if (failure.empty()) {
    const json answer = json::parse(result.output, nullptr, false);
    if (answer.is_object()) return answer;
    failure = "it did not tell a result";
  }
  std::cerr << "bench: " << what << ": " << failure << std::endl;
  return std::nullopt;
}

class Bench {
 public:
  explicit Bench(const Settings& settings) : set_(settings) {
    for (const std::string& file : {set_.json_file, set_.report_file})
      if (!file.empty()) prepare_to_write(file);
    if (!set_.json_file.empty()) json_.open(set_.json_file);
  }

  // 0, or 1 when something failed.
  int run() {
    if (set_.from.empty()) measure_all();
    for (const std::string& file : set_.from)
      for (const Row& row : read_rows(file)) rows_.push_back(row);
    const std::vector<Row> cases = medians(rows_);
    if (!set_.from.empty()) {
      std::cerr << table_head();
      for (const Row& row : cases) std::cerr << table_line(row);
    }
    std::cerr << "\n" << table_legend();
    if (const std::string table = speed_up_table(cases); !table.empty()) std::cerr << "\n" << table;
    write_report();
    return failed_ ? 1 : 0;
  }

 private:
  void measure_all() {
    const std::vector<Case> cases = cases_of(set_);
    for (const std::string& name : set_.peaks ? set_.devices : Names{}) {
      const auto answer =
          ask_child({"--machine", "--devices", name}, set_.threads, "what " + name + " does at best was not measured");
      failed_ = failed_ || !answer;
      if (!answer) continue;
      machines_.push_back(machine_of(*answer));
      std::cerr << describe(machines_.back()) << std::endl;
    }
    std::cerr << "\n" << table_head() << std::flush;
    for (const Case& c : cases) {
      const auto answer =
          ask_child(arguments_of(c), set_.threads,
                    c.workload + (c.train ? " train " : " infer ") + c.precision + " on " + c.device.str());
      failed_ = failed_ || !answer;
      if (answer) take(row_of(*answer));
    }
  }

  void take(Row row) {
    for (const Machine& machine : machines_) {
      if (machine.device != row.device) continue;
      if (const auto peak = machine.flops_per_s.find(row.dtype); peak != machine.flops_per_s.end())
        row.peak_flops_per_s = peak->second;
      row.peak_bytes_per_s = machine.bytes_per_s;
    }
    std::cout << to_json(row) << std::endl;
    if (json_.is_open() && !(json_ << to_json(row) << std::endl)) throw IoError("cannot write " + set_.json_file);
    std::cerr << table_line(row) << std::flush;
    rows_.push_back(row);
  }

  void write_report() const {
    if (set_.report_file.empty()) return;
    std::vector<Row> peers;
    for (const std::string& file : set_.peers)
      for (const Row& row : read_rows(file)) peers.push_back(row);
    const std::string text = report({.ours = rows_, .peers = peers, .machines = machines_});
    write_atomically(set_.report_file, [&](OutputFile& file) { file.write(text); });
    std::cerr << "\nreport: " << set_.report_file << "\n";
  }

  Settings set_;
  std::ofstream json_;
  std::vector<Machine> machines_;
  std::vector<Row> rows_;
  bool failed_ = false;
};

void profile_all(const Settings& set) {
  if (set.threads != 0) throw ArgumentError("--profile takes its threads from OMP_NUM_THREADS, expected no --threads");
  const std::vector<Case> cases = cases_of(set);
  if (!set.trace_file.empty() && cases.size() != 1)
    throw ArgumentError("--trace is one file and there are " + std::to_string(cases.size()) +
                        " cases, expected one workload, phase and device");
  for (const Case& c : cases) std::cout << profile(c, set.trace_file) << std::endl;
}

}  // namespace

int main(int argc, char** argv) try {
  Settings set;
  set.workloads = known_workloads();
  for (const DeviceType type : {DeviceType::cpu, DeviceType::cuda})
    if (device_count(type) > 0) set.devices.push_back(type == DeviceType::cpu ? "cpu" : "cuda");
  CLI::App app("Times libdnn on reference networks: JSON lines to standard output, a table to standard error.");
  app.option_defaults()->always_capture_default()->delimiter(',');
  app.add_option("--devices", set.devices, "cpu, cuda or cuda:1");
  app.add_option("--workloads", set.workloads, "What to measure");
  app.add_option("--phases", set.phases, "train: an optimisation step; infer: a forward pass")
      ->check(CLI::IsMember({"train", "infer"}));
  app.add_option("--precision", set.precisions, "fp32, or on a GPU tf32, the default there, bf16 or fp16");
  app.add_option("--modes", set.modes,
                 "eager; on a GPU also graph and graph16: one launch for each step, or for sixteen");
  app.add_option("--batch", set.batches, "Samples of a step; 0: the workload's own number");
  app.add_option("--scaling", set.scaling, "Batches at which lenet5 and resnet20-cifar are measured as well");
  app.add_option("--threads", set.threads, "Of the CPU kernels; 0: as OpenMP chooses")->check(CLI::Range(0, 1024));
  app.add_option("--seconds", set.seconds, "About how long to time each case");
  app.add_option("--json", set.json_file, "A file for the JSON lines as well");
  app.add_option("--report", set.report_file, "A file for the report, a page of HTML");
  app.add_option("--peer", set.peers, "Files of JSON lines of another framework, for the report");
  app.add_option("--from", set.from, "Files of JSON lines to report on, instead of measuring");
  CLI::Option* const alone = app.add_flag(
      "--alone", set.alone, "Measure in this process, its peak memory included; for one case, and for profilers");
  bool no_peaks = false;
  app.add_flag("--no-peaks", no_peaks, "Leave out what the devices do at best, which takes seconds");
  app.add_flag("--mark-step", set.mark, "One more step, marked for ncu --profile-from-start off")->needs(alone);
  app.add_flag("--machine", set.machine, "Only measure what the device does at best")->group("");
  app.add_flag("--profile", set.profile, "Where the time goes, by layer and operation, instead of JSON lines");
  app.add_option("--trace", set.trace_file, "A file for Chrome's trace of the one case that is profiled");
  CLI11_PARSE(app, argc, argv);
  set.peaks = !no_peaks;
  if (set.profile || !set.trace_file.empty()) {
    profile_all(set);
    return 0;
  }
  if (set.machine) {
    std::cout << to_json(measure_machine(Device(set.devices.at(0)))) << std::endl;
    return 0;
  }
  if (set.alone) {
    if (set.threads != 0) throw ArgumentError("--alone takes its threads from OMP_NUM_THREADS, expected no --threads");
    for (const Case& c : cases_of(set)) std::cout << to_json(measure(c)) << std::endl;
    return 0;
  }
  return Bench(set).run();
} catch (const std::exception& error) {
  std::cerr << "bench: " << error.what() << "\n";
  return 1;
}
