// Plans in files: what a later process finds, damaged and foreign files, several processes at once, full disks.
#include "core/plan_file.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "dnn/cache.h"
#include "dnn/error.h"
#include "dnn/io.h"
#include "tests/core/failing_file_system.h"
#include "tests/harness/errors.h"
#include "tests/harness/variable.h"

namespace dnn::test {
namespace {

using detail::keep_plan;
using detail::known_plan;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class PlanFile : public ::testing::Test {
 protected:
  PlanFile() { detail::forget_plan_files(); }
  ~PlanFile() override { detail::forget_plan_files(); }

  std::vector<std::string> files(const std::string& end = ".txt") const {
    std::vector<std::string> found;
    if (!std::filesystem::exists(plan_folder())) return found;
    for (const auto& file : std::filesystem::directory_iterator(plan_folder())) {
      if (file.path().string().ends_with(end)) found.push_back(file.path().string());
    }
    return found;
  }
  std::string only_file() const {
    EXPECT_THAT(files(), SizeIs(1));
    return files().at(0);
  }
  static void write(const std::string& path, const std::string& text) { std::ofstream(path, std::ios::binary) << text; }
  // The name of what is known to a new process; "?" when nothing is.
  static std::string later(const std::string& problem, const std::string& origin = "lib 1, GPU") {
    detail::forget_plan_files();
    const auto known = known_plan(origin, problem);
    return known ? known->name : "?";
  }
  static void keep(const std::string& problem, const std::string& name, const std::string& origin = "lib 1, GPU") {
    keep_plan(origin, problem, {.name = name, .milliseconds = 0.25, .tried = 8});
  }

  const TemporaryFolder folder_;
  const Variable cache_{"DNN_CACHE_DIR", folder_.path().string()}, on_{"DNN_PLAN_CACHE", std::nullopt};
};

TEST_F(PlanFile, ALaterProcessKnowsWhatWasChosen) {
  EXPECT_FALSE(known_plan("lib 1, GPU", "conv"));
  keep_plan("lib 1, GPU", "conv", {.name = "eng5_k2=3", .milliseconds = 0.125, .tried = 8});
  keep_plan("lib 1, GPU", "relu", {.name = "", .tried = 4});
  EXPECT_EQ(known_plan("lib 1, GPU", "conv")->name, "eng5_k2=3");
  EXPECT_THAT(files(), IsEmpty()) << "others may follow";
  save_plans();
  detail::forget_plan_files();
  const auto known = known_plan("lib 1, GPU", "conv");
  ASSERT_TRUE(known);
  EXPECT_EQ(known->name, "eng5_k2=3");
  EXPECT_EQ(known->milliseconds, 0.125);
  EXPECT_EQ(known->tried, 8);
  EXPECT_EQ(later("relu"), "");
  EXPECT_EQ(later("other"), "?");
  EXPECT_EQ(plan_folder(), folder_.path().string() + "/plans");
  EXPECT_THAT(only_file(), HasSubstr("/plans/lib-1-gpu-libdnn-"));
}

TEST_F(PlanFile, EachOriginHasItsOwn) {
  keep("conv", "a"), keep("conv", "b", "lib 2, GPU");
  save_plans();
  EXPECT_EQ(later("conv"), "a");
  EXPECT_EQ(later("conv", "lib 2, GPU"), "b");
  EXPECT_EQ(later("conv", "lib 2, other GPU"), "?");
  EXPECT_THAT(files(), SizeIs(2));
}

TEST_F(PlanFile, ALaterChoiceReplacesAnEarlierOne) {
  keep("conv", "a"), save_plans();
  detail::forget_plan_files();
  keep("conv", "b"), save_plans();
  EXPECT_EQ(later("conv"), "b");
  const std::string text = contents(only_file());
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 2);
}

TEST_F(PlanFile, AWriteAddsToWhatAnotherProcessWrote) {
  keep("first", "a");  // not yet written
  const pid_t child = ::fork();
  if (child == 0) {
    detail::forget_plan_files();
    keep("second", "b"), save_plans();
    ::_exit(0);
  }
  int status = 1;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  save_plans();
  EXPECT_EQ(known_plan("lib 1, GPU", "second")->name, "b") << "read on the way";
  EXPECT_EQ(later("first"), "a");
  EXPECT_EQ(later("second"), "b");
}

TEST_F(PlanFile, ProcessesThatWriteAtOnceLoseNothing) {
  constexpr int processes = 4, plans = 20;
  for (int p = 0; p < processes; ++p) {
    if (::fork() != 0) continue;
    for (int i = 0; i < plans; ++i) {
      keep("conv " + std::to_string(p) + " " + std::to_string(i), "plan");
      save_plans();
    }
    ::_exit(0);
  }
  for (int p = 0; p < processes; ++p) {
    int status = 1;
    ::wait(&status);
    EXPECT_EQ(status, 0);
  }
  for (int p = 0; p < processes; ++p) {
    for (int i = 0; i < plans; ++i)
      ASSERT_EQ(later("conv " + std::to_string(p) + " " + std::to_string(i)), "plan") << p << " " << i;
  }
  EXPECT_THAT(files(".tmp"), IsEmpty());
}

TEST_F(PlanFile, TheEndOfAProcessWritesWhatIsLeft) {
  const pid_t child = ::fork();
  if (child == 0) {
    keep("conv", "a");
    std::exit(0);
  }
  ::waitpid(child, nullptr, 0);
  EXPECT_EQ(later("conv"), "a");
}

TEST_F(PlanFile, AWaitWritesWhatHasLainForASecond) {
  keep("conv", "a");
  detail::save_idle_plans();
  EXPECT_THAT(files(), IsEmpty()) << "others may follow";
  ::usleep(1'100'000);
  detail::save_idle_plans();
  EXPECT_EQ(later("conv"), "a");
}

// Whatever happens to the file, what is known is right or nothing, and the next write mends it.
TEST_F(PlanFile, EveryDamageIsFoundAndMended) {
  keep("conv", "eng1"), keep("product", "algo2"), save_plans();
  const std::string path = only_file(), good = contents(path);
  const auto expect_right_or_nothing = [&](const std::string& text) {
    write(path, text);
    ASSERT_THAT(later("conv"), ::testing::AnyOf("eng1", "?")) << text;
    ASSERT_THAT(later("product"), ::testing::AnyOf("algo2", "?")) << text;
  };
  for (size_t i = 0; i < good.size(); ++i) {
    expect_right_or_nothing(good.substr(0, i));
    for (const char c : {'\0', '\n', '\t', ' ', '0', '\xff'}) {
      std::string text = good;
      text[i] = c;
      expect_right_or_nothing(text);
      expect_right_or_nothing(good.substr(0, i) + c + good.substr(i));
    }
  }
  write(path, good.substr(0, good.size() - 1));
  EXPECT_EQ(later("product"), "?") << "its line was cut";
  EXPECT_EQ(later("conv"), "eng1") << "its line was not";
  keep("product", "algo2"), save_plans();
  EXPECT_EQ(contents(path), good);
}

TEST_F(PlanFile, ForeignFilesAreReplaced) {
  keep("conv", "a"), save_plans();
  const std::string path = only_file(), good = contents(path);
  for (const std::string& text :
       {std::string(), std::string("PK\x03\x04"), "dnn plans 2" + good.substr(11),
        std::string("dnn plans 1\tlib 7\n") + good.substr(good.find('\n') + 1), std::string(1 << 16, '\n')}) {
    write(path, text);
    EXPECT_EQ(later("conv"), "?");
    keep("conv", "a"), save_plans();
    EXPECT_EQ(contents(path), good);
  }
  // Larger than any of ours: not even read.
  std::filesystem::resize_file(path, static_cast<uintmax_t>(detail::most_plan_bytes) + 1);
  EXPECT_EQ(later("conv"), "?");
  // No file at all.
  std::filesystem::remove(path);
  std::filesystem::create_directory(path);
  EXPECT_EQ(later("conv"), "?");
  keep("conv", "a");
  EXPECT_THROW(save_plans(), IoError);
}

TEST_F(PlanFile, NumbersThatCannotBeAreNotBelieved) {
  keep("conv", "a"), save_plans();
  const std::string path = only_file(), good = contents(path), head = good.substr(0, good.find('\n') + 1);
  const auto sealed = [](const std::string& text) {
    uint64_t sum = 0xcbf29ce484222325u;
    for (const char c : text) sum = (sum ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
    char digits[17];
    std::snprintf(digits, sizeof digits, "%016llx", static_cast<unsigned long long>(sum));
    return std::string(digits) + "\t" + text + "\n";
  };
  write(path, head + sealed("0.250000\t8\ta\tconv"));
  EXPECT_EQ(later("conv"), "a");
  for (const std::string text :
       {"nan\t8\ta\tconv", "inf\t8\ta\tconv", "-1\t8\ta\tconv", "1e999\t8\ta\tconv", "1x\t8\ta\tconv", "\t8\ta\tconv",
        "1\t0\ta\tconv", "1\t-8\ta\tconv", "1\t99999999999999999999\ta\tconv", "1\t8\ta", "1\t8\ta\tconv\tmore",
        "1\t8\t\x01\tconv", "1\t8\ta\t"}) {
    write(path, head + sealed(text));
    EXPECT_EQ(later("conv"), "?") << text;
  }
}

TEST_F(PlanFile, OnlySoManyAreKept) {
  for (int64_t i = 0; i < detail::most_plans; ++i) keep("conv " + std::to_string(i), "a");
  save_plans();
  detail::forget_plan_files();
  keep("new", "b"), save_plans();
  const std::string text = contents(only_file());
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), detail::most_plans + 1);
  EXPECT_EQ(later("new"), "b");
}

TEST_F(PlanFile, WithoutAFolderOrByTheVariableNothingIsKept) {
  for (const bool by_variable : {true, false}) {
    const Variable off("DNN_PLAN_CACHE", by_variable ? std::optional<std::string>("0") : std::nullopt);
    const Variable own("DNN_CACHE_DIR",
                       by_variable ? std::optional<std::string>(folder_.path().string()) : std::nullopt);
    const Variable cache("XDG_CACHE_HOME", std::nullopt), home("HOME", std::nullopt);
    EXPECT_EQ(plan_folder(), "");
    keep("conv", "a"), save_plans(), clear_plans();
    EXPECT_FALSE(known_plan("lib 1, GPU", "conv"));
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder_.path()));
}

TEST_F(PlanFile, TheFolderIsTheFirstOfThreeThatIsSet) {
  const Variable cache("XDG_CACHE_HOME", "/xdg"), home("HOME", "/home/me");
  EXPECT_EQ(cache_folder(), folder_.path().string());
  const Variable own("DNN_CACHE_DIR", "");
  EXPECT_EQ(cache_folder(), "/xdg/dnn");
  const Variable no_cache("XDG_CACHE_HOME", std::nullopt);
  EXPECT_EQ(cache_folder(), "/home/me/.cache/dnn");
  const Variable no_home("HOME", std::nullopt);
  EXPECT_EQ(cache_folder(), "");
}

TEST_F(PlanFile, ClearingRemovesPlansAndNothingElse) {
  clear_plans();  // of no folder
  keep("conv", "a"), save_plans();
  keep("conv", "b", "lib 2, GPU"), save_plans();
  write(plan_folder() + "/notes.txt", "mine");
  write(plan_folder() + "/lib-1-0123456789abcdef.txt.tmp", "of an interrupted write");
  keep("product", "c");
  clear_plans();
  EXPECT_EQ(later("conv"), "?");
  save_plans();
  EXPECT_EQ(later("product"), "?") << "not written either";
  int left = 0;
  for (const auto& file : std::filesystem::directory_iterator(plan_folder())) {
    EXPECT_EQ(file.path().filename(), "notes.txt");
    ++left;
  }
  EXPECT_EQ(left, 1);
  keep("conv", "a"), save_plans();
  {
    const Variable off("DNN_PLAN_CACHE", "0");
    clear_plans();
  }
  EXPECT_EQ(later("conv"), "?") << "also of a program that keeps none";
  const Variable elsewhere("DNN_CACHE_DIR", folder_ / "file");
  write(folder_ / "file", "no folder");
  EXPECT_THROW(clear_plans(), IoError);
}

// Makes `save_plans` and `clear_plans` give up soon.
class Impatience {
 public:
  Impatience() { detail::lock_patience = std::chrono::milliseconds(100); }
  ~Impatience() { detail::lock_patience = patience_; }

 private:
  const std::chrono::milliseconds patience_ = detail::lock_patience;
};

TEST_F(PlanFile, ClearingWaitsForOneThatWrites) {
  const Impatience impatience;
  keep("conv", "a"), save_plans();
  const std::string lock = only_file() + ".lock";
  const int file = ::open(lock.c_str(), O_RDWR);
  ASSERT_EQ(::flock(file, LOCK_EX), 0);
  EXPECT_ERROR(clear_plans(), IoError, "io: cannot lock " + lock + " (Resource temporarily unavailable)");
  EXPECT_EQ(later("conv"), "a");
  ::close(file);
  clear_plans();
  EXPECT_EQ(later("conv"), "?");
  EXPECT_THAT(files(""), IsEmpty());
}

TEST_F(PlanFile, ProcessesMayWriteWhileOthersClear) {
  constexpr int processes = 4, rounds = 40;
  for (int p = 0; p < processes; ++p) {
    if (::fork() != 0) continue;
    try {
      for (int i = 0; i < rounds; ++i) p == 0 ? clear_plans() : (keep("conv " + std::to_string(p), "a"), save_plans());
    } catch (...) {
      ::_exit(1);
    }
    ::_exit(0);
  }
  for (int p = 0; p < processes; ++p) {
    int status = 1;
    ::wait(&status);
    EXPECT_EQ(status, 0);
  }
  detail::forget_plan_files();
  keep("conv", "b"), save_plans();
  EXPECT_THAT(files(".tmp"), IsEmpty());
  const std::string text = contents(only_file());
  const auto lines = std::count(text.begin(), text.end(), '\n');
  int known = 0;
  for (const std::string problem : {"conv", "conv 1", "conv 2", "conv 3"}) known += later(problem) != "?";
  EXPECT_EQ(known + 1, lines) << "no line is damaged";
}

// A disk that is full.
class FullDisk : public FileSystem {
 public:
  std::unique_ptr<OutputFile> create(const std::string& path) override {
    ++attempts;
    throw IoError("io: cannot create " + path + " (no space left on device)");
  }
  int attempts = 0;
};

TEST_F(PlanFile, ThatCannotBeWrittenIsTriedOnce) {
  FullDisk disk;
  FileSystem* const before = set_file_system(&disk);
  keep("conv", "a");
  ::usleep(1'100'000);
  detail::save_idle_plans();
  EXPECT_EQ(disk.attempts, 1);
  keep("product", "b");
  ::usleep(1'100'000);
  detail::save_idle_plans();
  EXPECT_EQ(disk.attempts, 1) << "not at each wait again";
  EXPECT_EQ(known_plan("lib 1, GPU", "conv")->name, "a");
  EXPECT_THROW(save_plans(), IoError);
  set_file_system(before);
  save_plans();
  EXPECT_EQ(later("conv"), "a");
  EXPECT_EQ(later("product"), "b");
}

TEST_F(PlanFile, OneThatOthersWriteInTurnForSecondsIsWrittenAfterThem) {
  keep("conv", "a"), save_plans();
  const std::string lock = only_file() + ".lock";
  const int file = ::open(lock.c_str(), O_RDWR);
  ASSERT_EQ(::flock(file, LOCK_EX), 0);
  std::thread others([&] { ::usleep(1'500'000), ::close(file); });
  keep("conv", "b");
  EXPECT_NO_THROW(save_plans());
  others.join();
  EXPECT_EQ(later("conv"), "b");
}

TEST_F(PlanFile, OneThatAnotherProcessHoldsForLongIsAnError) {
  const Impatience impatience;
  keep("conv", "a"), save_plans();
  const std::string lock = only_file() + ".lock";
  const int file = ::open(lock.c_str(), O_RDWR);
  ASSERT_EQ(::flock(file, LOCK_EX), 0);
  keep("conv", "b");
  try {
    save_plans();
    FAIL() << "expected IoError";
  } catch (const IoError& error) {
    EXPECT_THAT(error.what(), HasSubstr("io: cannot lock " + lock + " (Resource temporarily unavailable)"));
  }
  ::close(file);
  save_plans();
  EXPECT_EQ(later("conv"), "b");
}

TEST_F(PlanFile, OneThatAnotherProcessHoldsForLongIsWrittenLater) {
  keep("conv", "a"), save_plans();
  const std::string lock = only_file() + ".lock";
  const int file = ::open(lock.c_str(), O_RDWR);
  ASSERT_EQ(::flock(file, LOCK_EX), 0);
  keep("conv", "b");
  ::usleep(1'100'000);
  detail::save_idle_plans();
  ::close(file);
  ::usleep(1'100'000);
  detail::save_idle_plans();
  EXPECT_EQ(later("conv"), "b");
}

}  // namespace
}  // namespace dnn::test
