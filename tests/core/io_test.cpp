// Files that are whole or not there, whatever fails and whenever the process dies.
#include "dnn/io.h"

#include <gmock/gmock.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "tests/core/failing_file_system.h"

namespace dnn {
namespace {

using test::contents;
using test::FailingFileSystem;
using test::TemporaryFolder;
using testing::HasSubstr;
using testing::ThrowsMessage;

void write_text(const std::string& path, const std::string& text) {
  write_atomically(path, [&](OutputFile& file) {
    file.write(std::string_view(text).substr(0, text.size() / 3));
    file.write(std::string_view(text).substr(text.size() / 3));
  });
}

const std::string before(1000, 'a');
const std::string after(3000, 'b');

TEST(Io, WritesAndReadsBack) {
  const TemporaryFolder folder;
  const std::string text("zero \0 inside\n", 14);
  write_text(folder / "file", text);
  const std::vector<std::byte> bytes = read_file(folder / "file");
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()), text);
  EXPECT_EQ(folder.count(), 1);
}

TEST(Io, WritesAnEmptyFile) {
  const TemporaryFolder folder;
  write_atomically(folder / "file", [](OutputFile&) {});
  EXPECT_TRUE(read_file(folder / "file").empty());
}

TEST(Io, ReplacesAFileAndALeftOverTemporary) {
  const TemporaryFolder folder;
  write_text(folder / "file", before);
  std::ofstream(folder / "file.tmp") << std::string(9999, 'x');
  write_text(folder / "file", after);
  EXPECT_EQ(contents(folder / "file"), after);
  EXPECT_EQ(folder.count(), 1);
}

TEST(Io, WritesInTheCurrentFolder) {
  const TemporaryFolder folder;
  const std::filesystem::path old = std::filesystem::current_path();
  std::filesystem::current_path(folder.path());
  write_text("file", before);
  std::filesystem::current_path(old);
  EXPECT_EQ(contents(folder / "file"), before);
}

TEST(Io, ReadsFromAPosition) {
  const TemporaryFolder folder;
  write_text(folder / "file", "0123456789");
  const std::unique_ptr<InputFile> file = file_system().open(folder / "file");
  EXPECT_EQ(file->size(), 10);
  std::array<std::byte, 3> bytes{};
  file->read(7, bytes);
  EXPECT_EQ(bytes[0], std::byte{'7'});
  EXPECT_EQ(bytes[2], std::byte{'9'});
  EXPECT_THAT([&] { file->read(8, bytes); }, ThrowsMessage<IoError>("io: cannot read " + (folder / "file") +
                                                                    " (it ends at byte 10, 1 more expected)"));
}

// Whichever operation fails: the file before is intact and the folder is clean. Only after the rename is the new one in
// place, and it is whole.
TEST(Io, ReadsFromMemory) {
  const std::string text = "0123456789";
  const MemoryFile file(std::as_bytes(std::span(text)));
  EXPECT_EQ(file.size(), 10);
  std::string part(4, ' ');
  file.read(6, std::as_writable_bytes(std::span(part)));
  EXPECT_EQ(part, "6789");
  file.read(10, {});
  for (const int64_t position : {int64_t{-1}, int64_t{7}, int64_t{11}, INT64_MAX}) {
    EXPECT_THAT([&] { file.read(position, std::as_writable_bytes(std::span(part))); },
                ThrowsMessage<IoError>("io: cannot read memory (4 bytes from byte " + std::to_string(position) +
                                       " on, of 10)"));
  }
}

TEST(Io, SurvivesAFailureOfEveryOperation) {
  const TemporaryFolder folder;
  int operations = 0;
  {
    FailingFileSystem counting(-1);
    write_text(folder / "file", before);
    operations = counting.count();
  }
  ASSERT_EQ(operations, 7);  // create, write, write, sync, close, rename, sync of the folder
  for (int k = 0; k < operations; ++k) {
    write_text(folder / "file", before);
    {
      FailingFileSystem failing(k);
      EXPECT_THAT([&] { write_text(folder / "file", after); },
                  ThrowsMessage<IoError>(HasSubstr("(no space left on device)")));
    }
    EXPECT_EQ(contents(folder / "file"), k == operations - 1 ? after : before) << "operation " << k;
    EXPECT_EQ(folder.count(), 1) << "operation " << k;
  }
}

TEST(Io, LeavesNothingBehindWhenTheProducerThrows) {
  const TemporaryFolder folder;
  write_text(folder / "file", before);
  EXPECT_THROW(write_atomically(folder / "file",
                                [](OutputFile& file) {
                                  file.write("half");
                                  throw ArgumentError("test: no");
                                }),
               ArgumentError);
  EXPECT_EQ(contents(folder / "file"), before);
  EXPECT_EQ(folder.count(), 1);
}

// Killed before any operation: one of the two files is there, whole, and the next write works.
TEST(Io, SurvivesBeingKilledBeforeEveryOperation) {
  const TemporaryFolder folder;
  for (int k = 0; k < 7; ++k) {
    write_text(folder / "file", before);
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      FailingFileSystem failing(k, FailingFileSystem::Mode::kill);
      write_text(folder / "file", after);
      ::_exit(0);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_EQ(WEXITSTATUS(status), 9) << "operation " << k;
    EXPECT_EQ(contents(folder / "file"), k == 6 ? after : before) << "operation " << k;
    write_text(folder / "file", after);
    EXPECT_EQ(contents(folder / "file"), after);
    EXPECT_EQ(folder.count(), 1);
  }
}

TEST(Io, NamesPathAndReason) {
  const TemporaryFolder folder;
  write_text(folder / "file", before);
  EXPECT_THAT([&] { read_file(folder / "missing"); },
              ThrowsMessage<IoError>("io: cannot open " + (folder / "missing") + " (no such file or directory)"));
  EXPECT_THAT([&] { read_file(folder.path().string()); },
              ThrowsMessage<IoError>("io: cannot read " + folder.path().string() + " (not a regular file)"));
  EXPECT_THAT([&] { read_file("/dev/zero"); },
              ThrowsMessage<IoError>("io: cannot read /dev/zero (not a regular file)"));
  EXPECT_THAT([&] { write_text(folder / "no/file", after); },
              ThrowsMessage<IoError>("io: cannot create " + (folder / "no/file.tmp") + " (no such file or directory)"));
  EXPECT_THAT([&] { write_text(folder / "file/file", after); },
              ThrowsMessage<IoError>("io: cannot create " + (folder / "file/file.tmp") + " (not a directory)"));
  EXPECT_THAT([&] { file_system().rename(folder / "missing", folder / "other"); },
              ThrowsMessage<IoError>("io: cannot replace " + (folder / "other") + " (no such file or directory)"));
  EXPECT_THAT([&] { file_system().sync_folder(folder / "no"); },
              ThrowsMessage<IoError>("io: cannot open folder " + (folder / "no") + " (no such file or directory)"));
  EXPECT_THAT([&] { file_system().create("/dev/full")->write("text"); },
              ThrowsMessage<IoError>("io: cannot write /dev/full (no space left on device)"));
}

TEST(Io, DoesNotWaitForAPipe) {
  const TemporaryFolder folder;
  ASSERT_EQ(::mkfifo((folder / "pipe").c_str(), 0600), 0);
  EXPECT_THAT([&] { read_file(folder / "pipe"); },
              ThrowsMessage<IoError>("io: cannot read " + (folder / "pipe") + " (not a regular file)"));
}

TEST(Io, ReadsNoMoreThanTheLimit) {
  const TemporaryFolder folder;
  write_text(folder / "file", before);
  EXPECT_EQ(read_file(folder / "file", 1000).size(), 1000u);
  EXPECT_THAT(
      [&] { read_file(folder / "file", 999); },
      ThrowsMessage<IoError>("io: cannot read " + (folder / "file") + " (it has 1000 bytes, at most 999 expected)"));
}

TEST(Io, DoesNotWriteOverAFolder) {
  const TemporaryFolder folder;
  std::filesystem::create_directory(folder / "taken");
  EXPECT_THAT([&] { write_text(folder / "taken", after); },
              ThrowsMessage<IoError>("io: cannot replace " + (folder / "taken") + " (is a directory)"));
  EXPECT_THAT([&] { prepare_to_write(folder / "taken"); },
              ThrowsMessage<IoError>("io: cannot write " + (folder / "taken") + " (it is a folder)"));
  EXPECT_EQ(folder.count(), 1);
}

TEST(Io, PreparesToWrite) {
  const TemporaryFolder folder;
  prepare_to_write(folder / "a/b/file");
  EXPECT_TRUE(std::filesystem::is_empty(folder / "a/b"));
  std::ofstream(folder / "file") << before;
  prepare_to_write(folder / "file");
  EXPECT_EQ(contents(folder / "file"), before);
  EXPECT_THAT([&] { prepare_to_write(folder / "file/below/file"); },
              ThrowsMessage<IoError>("io: cannot make folder " + (folder / "file/below") + " (not a directory)"));
  EXPECT_THROW(prepare_to_write("/proc/self/file"), IoError);
  EXPECT_THROW(prepare_to_write(folder / std::string(1000, 'x')), IoError);  // a name beyond the limit
  if (::geteuid() != 0) {                                                    // root may write anywhere
    std::filesystem::permissions(folder / "a", std::filesystem::perms::owner_read | std::filesystem::perms::owner_exec);
    EXPECT_THAT([&] { prepare_to_write(folder / "a/file"); },
                ThrowsMessage<IoError>("io: cannot create " + (folder / "a/file.tmp") + " (permission denied)"));
    std::filesystem::permissions(folder / "a", std::filesystem::perms::owner_all);
  }
}

}  // namespace
}  // namespace dnn
