#include "nn/npy.h"

#include <doctest/doctest.h>

#include "ops/create.h"
#include "ops/view.h"
#include "tests/files.h"

using namespace gradus;
using files::error_text, files::TemporaryFolder;

namespace {

// The start of a version 1 file with the given header text.
std::string npy(const std::string& header, const std::string& values = {}) {
  return std::string("\x93NUMPY\x01\x00", 8) + char(header.size() & 255) + char(header.size() >> 8) + header + values;
}

const std::string padding(57, ' ');

}  // namespace

TEST_CASE("npy: files written by NumPy 2.4 are read") {
  const TemporaryFolder folder;
  using namespace std::string_literals;
  const Tensor rows = load_npy(
      folder.write("rows.npy", npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }" + padding + " \n",
                                   "\x00\x00\x00\x00\x00\x00\x80?\x00\x00\x00@\x00\x00@@\x00\x00\x80@\x00\x00\xa0@"s)));
  CHECK(rows.dtype() == float32);
  CHECK(rows.shape() == Shape{2, 3});
  CHECK(rows.to_vector<int>() == std::vector<int>{0, 1, 2, 3, 4, 5});

  const Tensor columns = load_npy(folder.write(
      "columns.npy",
      npy("{'descr': '<i4', 'fortran_order': True, 'shape': (2, 3), }" + padding + "  \n",
          "\x00\x00\x00\x00\x03\x00\x00\x00\x01\x00\x00\x00\x04\x00\x00\x00\x02\x00\x00\x00\x05\x00\x00\x00"s)));
  CHECK(columns.dtype() == int64);
  CHECK(columns.shape() == Shape{2, 3});
  CHECK(columns.is_contiguous());
  CHECK(columns.to_vector<int>() == std::vector<int>{0, 1, 2, 3, 4, 5});

  const Tensor scalar = load_npy(
      folder.write("scalar.npy", npy("{'descr': '<f8', 'fortran_order': False, 'shape': (), }" + padding + "     \n",
                                     "\x00\x00\x00\x00\x00\x00\x04@"s)));
  CHECK(scalar.dtype() == float64);
  CHECK(scalar.shape() == Shape{});
  CHECK(scalar.item<double>() == 2.5);
}

TEST_CASE("npy: what is written is what NumPy writes") {
  const TemporaryFolder folder;
  using namespace std::string_literals;
  save_npy(folder.path("a.npy"), tensor({{0, 1, 2}, {3, 4, 5}}));
  CHECK(folder.read("a.npy") == npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }" + padding + " \n",
                                    "\x00\x00\x00\x00\x00\x00\x80?\x00\x00\x00@\x00\x00@@\x00\x00\x80@\x00\x00\xa0@"s));
  CHECK(folder.count() == 1);  // no temporary file stays behind
}

TEST_CASE("npy: every dtype and shape comes back as it was") {
  const TemporaryFolder folder;
  for (const Dtype dtype : {float32, float64, int64, boolean})
    for (const Shape& shape : {Shape{}, Shape{1}, Shape{0}, Shape{3, 0, 2}, Shape{2, 3, 4}}) {
      const Tensor before = to(randint(0, 2, shape), dtype);
      save_npy(folder.path("x.npy"), before);
      const Tensor after = load_npy(folder.path("x.npy"));
      CHECK(after.dtype() == dtype);
      CHECK(after.shape() == shape);
      CHECK(after.to_vector<double>() == before.to_vector<double>());
    }
  save_npy(folder.path("t.npy"), t(tensor({{1, 2, 3}, {4, 5, 6}})));  // a view
  CHECK(load_npy(folder.path("t.npy")).to_vector<int>() == std::vector<int>{1, 4, 2, 5, 3, 6});
}

TEST_CASE("npy: small integers become int64") {
  const TemporaryFolder folder;
  const auto read = [&](const std::string& descr, const std::string& values) {
    return load_npy(
        folder.write("x.npy", npy("{'descr': '" + descr + "', 'fortran_order': False, 'shape': (1,), }", values)));
  };
  using namespace std::string_literals;
  for (const auto& [descr, values, expected] :
       {std::tuple("|i1", "\xff"s, -1), std::tuple("|u1", "\xff"s, 255), std::tuple("<i2", "\xfe\xff"s, -2),
        std::tuple("<u2", "\xfe\xff"s, 65534), std::tuple("<u4", "\x01\x00\x01\x00"s, 65537)}) {
    CHECK(read(descr, values).dtype() == int64);
    CHECK(read(descr, values).item<int>() == expected);
  }
  CHECK(read("|b1", "\x02").item<int>() == 1);
  CHECK(read("<f4", "\x00\x00\x80?"s).item<float>() == 1);
}

TEST_CASE("npy: bad files are clean errors") {
  const TemporaryFolder folder;
  const auto error = [&](const std::string& contents) {
    const std::string path = folder.write("x.npy", contents);
    return error_text([&] { load_npy(path); }, path);
  };
  const auto header = [](const std::string& descr, const std::string& shape) {
    return npy("{'descr': '" + descr + "', 'fortran_order': False, 'shape': (" + shape + "), }", "12345678");
  };
  CHECK(error("") == "load_npy: x.npy: this is not an .npy file of version 1, 2 or 3");
  CHECK(error("PK\x03\x04 an npz file") == "load_npy: x.npy: this is not an .npy file of version 1, 2 or 3");
  CHECK(error("\x93NUMPY\x04 ") == "load_npy: x.npy: this is not an .npy file of version 1, 2 or 3");
  CHECK(error("\x93NUMPY\x01 \xff\x00") ==
        "load_npy: x.npy: the file is truncated: 2 more bytes are due and 1 are left");
  CHECK(error("\x93NUMPY\x02 \xff\xff\xff\xff") ==
        "load_npy: x.npy: the header would have 4294967295 bytes; at most 10000 are read");
  CHECK(error(npy("{}")) == "load_npy: x.npy: the header has no 'descr':'...'");
  CHECK(error(npy("{'descr': [('x', '<f4')], ")) == "load_npy: x.npy: the header has no 'descr':'...'");
  CHECK(error(header(">f4", "2,")) ==
        "load_npy: x.npy: the values are '>f4'; only little-endian f4, f8, i1 to i8, u1 to u4 and b1 can be read");
  CHECK(error(header("<f4", "3,")) == "load_npy: x.npy: the shape [3] does not fit the 8 bytes that follow the header");
  CHECK(error(header("<f4", "1,")) == "load_npy: x.npy: the shape [1] does not fit the 8 bytes that follow the header");
  CHECK(
      error(header("<f4", "4611686018427387904, 4611686018427387906")) ==
      "load_npy: x.npy: the shape [4611686018427387904, 4611686018427387906] does not fit the 8 bytes that follow the "
      "header");
  CHECK(error(header("<f4", "0, 9223372036854775807, 9223372036854775807")) ==
        "load_npy: x.npy: the shape [0, 9223372036854775807, 9223372036854775807] does not fit the 8 bytes that follow "
        "the "
        "header");
  CHECK(error(header("<f4", "-2,")) == "load_npy: x.npy: the shape (-2,) is not a list of sizes");
  CHECK(error(header("<f4", "2x")) == "load_npy: x.npy: the shape (2x) is not a list of sizes");
  CHECK(error(header("<f4", "1,1,1,1,1,1,1,1,2")) == "load_npy: a tensor has at most 8 dimensions");
  CHECK(error_text([&] { load_npy(folder.path("none.npy")); }, folder.path("none.npy")) ==
        "load_npy: none.npy: there is no such file");
  const std::string inner = folder.path("folder");
  folder.write("folder/file", "");
  CHECK(error_text([&] { load_npy(inner); }, inner) == "load_npy: folder: this is not a regular file");
}

TEST_CASE("npy: no damaged file does harm") {
  const TemporaryFolder folder;
  save_npy(folder.path("whole"), ones({2, 3}));
  CHECK(files::count_refused(folder, folder.read("whole"), [](const std::string& path) { load_npy(path); }) > 800);
}

TEST_CASE("npy: what cannot be written is an error that leaves nothing behind") {
  const TemporaryFolder folder;
  CHECK(error_text([&] { save_npy(folder.path("x.npy"), ones({2}, bfloat16)); }) ==
        "save_npy: NumPy has no bfloat16; convert the tensor first, with to(x, float32)");
  const std::string path = folder.path("none/x.npy");
  CHECK(error_text([&] { save_npy(path, ones({2})); }, path) ==
        "save_npy: x.npy: cannot be written (No such file or directory)");
  CHECK(folder.count() == 0);
}
