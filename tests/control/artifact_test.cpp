// Loops in programs that stand alone.
#include "compiler/package/link.h"
#include "compiler/package/process.h"
#include "compiler/package/session.h"
#include "runtime/files/npy.h"
#include "tests/control/regions.h"
#include "tests/support/agree.h"

#include <gtest/gtest.h>

namespace gmc {
namespace {

using namespace tests;

// A draw and a product in each trip, a while inside, and a cond on what comes out of it.
Graph program() {
  Graph g("sample");
  const Shape shape{3, 16};
  const std::vector<TensorType> inner{index_type, {f32, shape}};
  const Region more = region(
      "more", inner, [](Graph& r, const Vars& a) { return Vars{less(sum(a[1] * a[1]), constant(r, 40, {f32, {}}))}; });
  const Region grow = region("grow", inner, [](Graph&, const Vars& a) { return Vars{a[1] * 1.25}; });
  const Region up = region("up", {{f32, shape}}, [](Graph&, const Vars& a) { return Vars{a[0] * 0.5}; });
  const Region down = region("down", {{f32, shape}}, [](Graph&, const Vars& a) { return Vars{-a[0]}; });
  const Region body =
      region("body", {index_type, {f32, shape}, {f32, shape}, {f32, {16, 16}}}, [&](Graph& r, const Vars& a) {
        const Var next = matmul(a[1], a[3]) + a[2] + draw(r, "normal", "eps", shape);
        const Var large = while_loop(r, more, grow, -1, {next}, {})[0];
        const Var zero = constant(r, 0, {f32, {}});
        return Vars{cond(less(sum(large), zero), up, down, {large})[0], large};
      });
  const Vars out = scan(g, body, 5, {data(g, "h", shape)}, {data(g, "x", {5, 3, 16})}, {data(g, "w", {16, 16})});
  g.add_output({"y", out[1].value, false});
  return g;
}

TEST(ControlArtifact, AnExecutableRunsTheLoopsOfTheProcess) {
  const Graph g = program();
  verify(g);
  const package::Compiled compiled = package::compile({"loops", "{}", {}, {g}}, with_policy("greedy"));
  TensorMap inputs;
  const package::TemporaryDirectory folder;
  std::vector<std::string> words{folder.file("loops"), "sample", "--seed", "9", "--first-step", "4", "--threads", "2"};
  for (const auto& [name, values] : values_for(g)) {
    HostTensor t(f32, values.shape);
    for (size_t i = 0; i < values.values.size(); ++i) t.as<float>()[i] = static_cast<float>(values.values[i]);
    inputs[name] = t;
    files::save_npy(folder.file(name + ".npy"), t);
    words.insert(words.end(), {"--input", name + "=" + folder.file(name + ".npy")});
  }
  const HostTensor want = package::Session(compiled, {1, true}).run("sample", inputs, 9, 4).at("y");
  package::link_executable(compiled, {}, folder.file("loops"));
  words.insert(words.end(), {"-o", folder.file("y.npy")});
  const package::ProcessResult r = package::run_process(words);
  ASSERT_EQ(r.status, 0) << r.output;
  EXPECT_EQ(files::load_npy(folder.file("y.npy")).bytes, want.bytes);
}

}  // namespace
}  // namespace gmc
