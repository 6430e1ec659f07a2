// A file system that works on the real disk until its k-th operation, which fails (or kills the process) half done.
#pragma once

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "dnn/error.h"
#include "dnn/io.h"

namespace dnn::test {

class FailingFileSystem : public FileSystem {
 public:
  enum class Mode { exception, kill };

  // The operation number `fail_at` fails, counted from 0; a negative number: none.
  explicit FailingFileSystem(int fail_at, Mode mode = Mode::exception) : fail_at_(fail_at), mode_(mode) {
    before_ = set_file_system(this);
  }
  ~FailingFileSystem() override { set_file_system(before_); }

  // Operations seen so far.
  int count() const { return count_; }

  std::unique_ptr<InputFile> open(const std::string& path) override {
    step("open", path, [] {});
    return std::make_unique<Input>(*this, path, FileSystem::open(path));
  }
  std::unique_ptr<OutputFile> create(const std::string& path) override {
    step("create", path, [] {});
    return std::make_unique<Output>(*this, path, FileSystem::create(path));
  }
  void rename(const std::string& from, const std::string& to) override {
    step("replace", to, [] {});
    FileSystem::rename(from, to);
  }
  void sync_folder(const std::string& path) override {
    step("sync folder", path, [] {});
    FileSystem::sync_folder(path);
  }
  void create_folders(const std::string& path) override {
    step("make folder", path, [] {});
    FileSystem::create_folders(path);
  }

 private:
  class Input : public InputFile {
   public:
    Input(FailingFileSystem& owner, const std::string& path, std::unique_ptr<InputFile> file)
        : owner_(owner), path_(path), file_(std::move(file)) {}
    int64_t size() const override { return file_->size(); }
    void read(int64_t position, std::span<std::byte> bytes) const override {
      owner_.step("read", path_, [] {});
      file_->read(position, bytes);
    }

   private:
    FailingFileSystem& owner_;
    std::string path_;
    std::unique_ptr<InputFile> file_;
  };

  class Output : public OutputFile {
   public:
    Output(FailingFileSystem& owner, const std::string& path, std::unique_ptr<OutputFile> file)
        : owner_(owner), path_(path), file_(std::move(file)) {}
    void write(std::span<const std::byte> bytes) override {
      owner_.step("write", path_, [&] { file_->write(bytes.first(bytes.size() / 2)); });
      file_->write(bytes);
    }
    void sync() override {
      owner_.step("sync", path_, [] {});
      file_->sync();
    }
    void close() override {
      owner_.step("close", path_, [] {});
      file_->close();
    }

   private:
    FailingFileSystem& owner_;
    std::string path_;
    std::unique_ptr<OutputFile> file_;
  };

  template <class HalfDone>
  void step(const char* verb, const std::string& path, HalfDone half_done) {
    if (count_++ != fail_at_) return;
    half_done();
    if (mode_ == Mode::kill) ::_exit(9);
    throw IoError("io: cannot " + std::string(verb) + " " + path + " (no space left on device)");
  }

  int fail_at_;
  Mode mode_;
  int count_ = 0;
  FileSystem* before_;
};

// A folder that is empty at first and gone at the end.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "dnn_test_XXXXXX").string();
    path_ = ::mkdtemp(pattern.data());
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  std::string operator/(const std::string& name) const { return (path_ / name).string(); }
  const std::filesystem::path& path() const { return path_; }

  // Number of files in it.
  int64_t count() const {
    return std::distance(std::filesystem::directory_iterator(path_), std::filesystem::directory_iterator());
  }

 private:
  std::filesystem::path path_;
};

inline std::string contents(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

}  // namespace dnn::test
