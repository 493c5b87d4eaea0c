// Calls and tables in programs that need neither gmc nor LLVM.
#include "compiler/package/c_header.h"
#include "compiler/package/link.h"
#include "compiler/package/process.h"
#include "runtime/files/npy.h"
#include "tests/support/sample_program.h"

#include <fstream>

namespace gmc {
namespace {

using namespace graph;

// y[2, 3] = x with 5 in its last row, plus a table.
package::Compiled program() {
  Graph g("eval");
  const Var x = input(g, "x", "data", {f32, {2, 3}}), row = input(g, "row", "data", {i32, {1, 3}});
  const Var y = scatter(x, broadcast_to(constant(g, 5), {1, 3}), {row}, {0}, {-1, 1}, "set");
  g.add_output({"y", (y + literal(g, {0, 1, 2, 3, 4, 5}, {f32, {2, 3}})).value, false});
  return package::compile({"calls", "{}", {}, {g}}, {codegen::host_target(), "greedy", {}, "", 1, false});
}

const TensorMap inputs{{"x", tests::tensor_of({f32, {2, 3}}, {10, 20, 30, 40, 50, 60})},
                       {"row", tests::tensor_of({i32, {1, 3}}, {1, 1, 1})}};
const std::vector<double> expected{10, 21, 32, 8, 9, 10};

std::string run(const std::vector<std::string>& words) {
  const package::ProcessResult r = package::run_process(words);
  EXPECT_EQ(r.status, 0) << r.output;
  return r.output;
}

TEST(LinkedRoutines, AnExecutableCallsThem) {
  const package::TemporaryDirectory folder;
  for (const auto& [name, tensor] : inputs) files::save_npy(folder.file(name + ".npy"), tensor);
  package::link_executable(program(), {}, folder.file("calls"));
  run({folder.file("calls"), "eval", "--input", "x=" + folder.file("x.npy"), "--input", "row=" + folder.file("row.npy"),
       "-o", folder.file("y.npy")});
  EXPECT_EQ(tests::values_of(files::load_npy(folder.file("y.npy"))), expected);
}

constexpr const char* user = R"(#include "calls.h"
int main(void) {
  float x[6] = {10, 20, 30, 40, 50, 60}, y[6];
  int32_t row[3] = {1, 1, 1};
  calls *m = calls_open(2, NULL, 0);
  return !m || calls_eval(m, 0, 0, x, row, y) || y[0] != 10 || y[2] != 32 || y[3] != 8 || y[5] != 10;
}
)";

TEST(LinkedRoutines, LibrariesHoldThem) {
  const package::TemporaryDirectory folder;
  const package::Compiled compiled = program();
  const std::string lib = package::library_directory();
  std::ofstream(folder.file("user.c")) << user;
  std::ofstream(folder.file("calls.h")) << package::c_header(
      reinterpret_cast<const execute::Package*>(compiled.package.data()), "calls");
  package::link_static_library(compiled, {}, folder.file("calls.a"));
  run({"gcc", folder.file("user.c"), folder.file("calls.a"), "-lpthread", "-lm", "-o", folder.file("static")});
  run({folder.file("static")});
  package::link_object(compiled, {}, folder.file("calls.o"));
  run({"gcc", "-shared", folder.file("calls.o"), lib + "/libgmc_execute.a", lib + "/libgmc_routines.a", "-lpthread",
       "-lm", "-o", folder.file("libcalls.so")});
  run({"gcc", folder.file("user.c"), folder.file("libcalls.so"), "-Wl,-rpath," + folder.file(""), "-o",
       folder.file("shared")});
  run({folder.file("shared")});
}

}  // namespace
}  // namespace gmc
