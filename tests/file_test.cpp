#include "core/file.h"

#include <doctest/doctest.h>

#include "tests/files.h"

using namespace gradus;
using files::error_text, files::TemporaryFolder;

TEST_CASE("file: what is written is read again") {
  const TemporaryFolder folder;
  write_file(folder.path("x"), std::string_view("some\0text", 9));
  InputFile file(folder.path("x"));
  CHECK(file.left() == 9);
  char start[4];
  file.read(start, 4);
  CHECK(std::string_view(start, 4) == "some");
  CHECK(file.left() == 5);
  CHECK(file.read_text() == std::string_view("\0text", 5));
  CHECK(error_text([&] { file.read(start, 1); }, file.path()) ==
        "x: the file is truncated: 1 more bytes are due and 0 are left");
}

TEST_CASE("file: a file that was not committed leaves the old one alone") {
  const TemporaryFolder folder;
  write_file(folder.path("x"), "old");
  {
    OutputFile file(folder.path("x"));
    file.write("new");
    CHECK(folder.read("x") == "old");
    CHECK(folder.count() == 2);  // the temporary one beside it
  }
  CHECK(folder.read("x") == "old");
  CHECK(folder.count() == 1);
  write_file(folder.path("x"), "new");
  CHECK(folder.read("x") == "new");
  CHECK(folder.count() == 1);
}

TEST_CASE("file: links and devices are written through, not replaced") {
  const TemporaryFolder folder;
  write_file(folder.path("x"), "old");
  std::filesystem::create_symlink("x", folder.path("link"));
  write_file(folder.path("link"), "new");
  CHECK(std::filesystem::is_symlink(folder.path("link")));
  CHECK(folder.read("x") == "new");
  write_file("/dev/null", "gone");
  CHECK(std::filesystem::is_character_file("/dev/null"));
}

TEST_CASE("file: what cannot be opened is an error that says why") {
  const TemporaryFolder folder;
  CHECK(error_text([&] { InputFile(folder.path("none")); }, folder.path("none")) == "none: there is no such file");
  CHECK(error_text([&] { InputFile("/dev/null"); }) == "/dev/null: this is not a regular file");
  const std::string path = folder.path("none/x");
  CHECK(error_text([&] { write_file(path, "text"); }, path) == "x: cannot be written (No such file or directory)");
  folder.write("folder/x", "");
  const std::string inner = folder.path("folder");
  CHECK(error_text([&] { write_file(inner, "text"); }, inner) == "folder: cannot be written (Is a directory)");
}
