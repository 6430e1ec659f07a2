// A child through posix_spawn, with a pipe for its standard output.
#include "examples/bench/child.h"

#include <dnn/dnn.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace {

// The environment, with so many threads of OpenMP.
std::vector<std::string> environment(int threads) {
  std::vector<std::string> variables;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const std::string text = *variable;
    if (threads == 0 || !text.starts_with("OMP_NUM_THREADS=")) variables.push_back(text);
  }
  if (threads != 0) variables.push_back("OMP_NUM_THREADS=" + std::to_string(threads));
  return variables;
}

// As C takes a list of strings; it points into `strings`.
std::vector<char*> pointers(std::vector<std::string>& strings) {
  std::vector<char*> result;
  for (std::string& text : strings) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

std::string how_it_ended(int status) {
  if (WIFSIGNALED(status)) {
    const int signal = WTERMSIG(status);
    return "it was ended by signal " + std::to_string(signal) + " (" + strsignal(signal) + ")";
  }
  return WEXITSTATUS(status) == 0 ? "" : "it ended with " + std::to_string(WEXITSTATUS(status));
}

[[noreturn]] void fail(const std::string& what, int reason) {
  throw dnn::Error("bench: cannot " + what + " (" + std::strerror(reason) + ")");
}

}  // namespace

ChildResult run_child(const std::vector<std::string>& arguments, int threads) {
  std::vector<std::string> words{"bench"}, variables = environment(threads);
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::array<int, 2> ends{};
  if (pipe(ends.data()) != 0) fail("make a pipe", errno);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  posix_spawn_file_actions_addclose(&actions, ends[0]);
  posix_spawn_file_actions_addclose(&actions, ends[1]);
  pid_t process = 0;
  const int reason =
      posix_spawn(&process, "/proc/self/exe", &actions, nullptr, pointers(words).data(), pointers(variables).data());
  posix_spawn_file_actions_destroy(&actions);
  close(ends[1]);
  if (reason != 0) {
    close(ends[0]);
    fail("start a process", reason);
  }
  ChildResult result;
  std::array<char, 4096> buffer{};
  for (ssize_t got = 0; (got = read(ends[0], buffer.data(), buffer.size())) != 0;) {
    if (got > 0)
      result.output.append(buffer.data(), static_cast<size_t>(got));
    else if (errno != EINTR)
      break;
  }
  close(ends[0]);
  int status = 0;
  while (waitpid(process, &status, 0) < 0 && errno == EINTR) {
  }
  result.failure = how_it_ended(status);
  return result;
}
