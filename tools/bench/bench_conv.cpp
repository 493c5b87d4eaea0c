// bench_conv: convolutions of the workloads, forward and both gradients, compiled like any program, against the
// machine's peak of fused multiply-adds. `tools/peers/conv.py` puts PyTorch beside it.
#include "compiler/codegen/peak.h"
#include "compiler/graph/core_ops.h"
#include "compiler/package/jit.h"
#include "compiler/package/session.h"
#include "compiler/transform/differentiate.h"
#include "ops/registry.h"
#include "runtime/base/error.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>

namespace {

using namespace gmc;
using graph::Graph;
using graph::Var;

// Square images and kernels: x [n, c, size, size]; a transposed convolution has weight [c, o, k, k].
struct Case {
  std::string name;
  int64_t n, c, size, o, k, step, padding;
  bool transposed = false;
  int64_t places() const {
    return transposed ? (size - 1) * step - 2 * padding + k : (size + 2 * padding - k) / step + 1;
  }
  // Of each of the three products; multiplications with padding count.
  double flops() const {
    const int64_t side = transposed ? size : places();
    return 2.0 * static_cast<double>(n * side * side * c * o * k * k);
  }
};

void add_vae(std::vector<Case>& all, const std::string& size, int64_t n, int64_t ch, int64_t c) {
  const std::string name = "vae-conv " + size + " ";
  all.push_back({name + "enc1", n, ch, 32, c, 4, 2, 1});
  all.push_back({name + "enc2", n, c, 16, 2 * c, 4, 2, 1});
  all.push_back({name + "enc3", n, 2 * c, 8, 4 * c, 4, 2, 1});
  all.push_back({name + "dec1", n, 4 * c, 4, 2 * c, 4, 2, 1, true});
  all.push_back({name + "dec2", n, 2 * c, 8, c, 4, 2, 1, true});
  all.push_back({name + "dec3", n, c, 16, ch, 4, 2, 1, true});
}
void add_gan(std::vector<Case>& all, const std::string& size, int64_t n, int64_t ch, int64_t z, int64_t c) {
  const std::string name = "gan-dc " + size + " ";
  all.push_back({name + "G1", n, z, 1, 4 * c, 4, 1, 0, true});
  all.push_back({name + "G2", n, 4 * c, 4, 2 * c, 4, 2, 1, true});
  all.push_back({name + "G3", n, 2 * c, 8, c, 4, 2, 1, true});
  all.push_back({name + "G4", n, c, 16, ch, 4, 2, 1, true});
  all.push_back({name + "D1", n, ch, 32, c, 4, 2, 1});
  all.push_back({name + "D2", n, c, 16, 2 * c, 4, 2, 1});
  all.push_back({name + "D3", n, 2 * c, 8, 4 * c, 4, 2, 1});
  all.push_back({name + "D4", n, 4 * c, 4, 1, 4, 1, 0});
}
void add_glow(std::vector<Case>& all, const std::string& size, int64_t n, int64_t side, int64_t c, int64_t h) {
  const std::string name = fmt::format("flow-glow {} {}x{} ", size, side, side);
  all.push_back({name + "mix", n, c, side, c, 1, 1, 0});
  all.push_back({name + "in", n, c / 2, side, h, 3, 1, 1});
  all.push_back({name + "mid", n, h, side, h, 1, 1, 0});
  all.push_back({name + "out", n, h, side, c, 3, 1, 1});
}
void add_ddpm(std::vector<Case>& all, const std::string& size, int64_t n, int64_t ch, int64_t c) {
  const std::string name = "diffusion-ddpm " + size + " ";
  all.push_back({name + "first", n, ch, 32, c, 3, 1, 1});
  all.push_back({name + "32x32", n, c, 32, c, 3, 1, 1});
  all.push_back({name + "32x32 wide", n, 2 * c, 32, c, 3, 1, 1});
  all.push_back({name + "down", n, c, 32, c, 3, 2, 1});
  all.push_back({name + "16x16", n, 2 * c, 16, 2 * c, 3, 1, 1});
  all.push_back({name + "16x16 wide", n, 4 * c, 16, 2 * c, 3, 1, 1});
  all.push_back({name + "skip", n, 4 * c, 16, 2 * c, 1, 1, 0});
  all.push_back({name + "up", n, 2 * c, 32, 2 * c, 3, 1, 1});
  all.push_back({name + "last", n, c, 32, ch, 3, 1, 1});
}

std::vector<Case> all_cases() {
  std::vector<Case> all;
  add_vae(all, "tiny", 64, 1, 32);
  add_gan(all, "tiny", 32, 1, 64, 32);
  add_glow(all, "tiny", 16, 8, 4, 64);
  add_glow(all, "tiny", 16, 4, 8, 64);
  add_ddpm(all, "tiny", 16, 1, 32);
  add_vae(all, "base", 256, 3, 64);
  add_gan(all, "base", 128, 3, 100, 64);
  add_glow(all, "base", 64, 16, 12, 256);
  add_ddpm(all, "base", 128, 3, 128);
  return all;
}

const graph::OpDef& op_named(std::string_view name) {
  for (const graph::OpDef* op : ops::registry())
    if (op->name == name) return *op;
  fail("no op is called '{}'", name);
}

// One entry: `what` is forward, dx or dw. Operands the result does not need are no inputs.
Graph make_entry(const Case& c, const std::string& what) {
  using List = std::vector<int64_t>;
  Graph g("step");
  const auto f32 = DType::f32;
  const Var x = graph::input(g, "x", "data", {f32, {c.n, c.c, c.size, c.size}});
  const Var w =
      graph::input(g, "w", "data", {f32, c.transposed ? Shape{c.c, c.o, c.k, c.k} : Shape{c.o, c.c, c.k, c.k}});
  graph::Attributes a{{"step", List(2, c.step)},
                      {"low", List(2, c.padding)},
                      {"high", List(2, c.padding)},
                      {"dilation", List{1, 1}},
                      {"groups", int64_t{1}}};
  if (c.transposed) a["extra"] = List{0, 0};
  const Var y = graph::apply(op_named(c.transposed ? "transposed_convolution" : "convolution"), {x, w}, a);
  if (what == "forward") {
    g.add_output({"y", y.value});
    return g;
  }
  const Var gradient = graph::input(g, "g", "data", y.type());
  const Var of = what == "dx" ? x : w;
  g.add_output({"y", transform::differentiate(graph::sum(y * gradient), {of})[0].value});
  return g;
}

double seconds_now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

template <class Run>
double least_seconds(double budget, const Run& run) {
  run();
  double best = 1e30;
  for (const double end = seconds_now() + budget; seconds_now() < end;) {
    const double start = seconds_now();
    run();
    best = std::min(best, seconds_now() - start);
  }
  return best;
}

double measure(const Case& c, const std::string& what, int threads, double budget, bool steps) {
  const package::Compiled compiled =
      package::compile({"conv", "{}", {}, {make_entry(c, what)}}, {codegen::host_target(), "greedy", {}, "", 0, false});
  package::Session session(compiled, {threads, false});
  std::vector<std::vector<float>> memory;
  std::vector<const void*> inputs;
  std::vector<void*> outputs;
  for (const auto& slot : session.inputs(0)) {
    memory.emplace_back(static_cast<size_t>(element_count(slot.type.shape)));
    for (size_t i = 0; i < memory.back().size(); ++i) memory.back()[i] = static_cast<float>(i % 17) / 16 - 0.5f;
    inputs.push_back(memory.back().data());
  }
  for (const auto& slot : session.outputs(0)) {
    memory.emplace_back(static_cast<size_t>(element_count(slot.type.shape)));
    outputs.push_back(memory.back().data());
  }
  const double best = least_seconds(budget, [&] { session.run(0, inputs, outputs, 0, 0); });
  if (steps)
    for (const auto& [name, ms] : session.profile(0, inputs, outputs, 20))
      fmt::print("    {:<50} {:8.3f} ms\n", name, ms);
  return best;
}

// Operations a second of one core.
double core_peak() {
  const codegen::PeakCode code = codegen::emit_fma_peak(codegen::host_target());
  package::Jit jit;
  jit.add(code.object, "peak");
  const auto run = reinterpret_cast<void (*)(float*, int64_t)>(jit.lookup("gmc_fma_peak"));
  std::vector<float> values(16, 1e-3f);
  return 2e5 * code.flops_per_turn / least_seconds(0.3, [&] { run(values.data(), 200000); });
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Times convolutions, forward and gradients.");
  std::string only;
  double budget = 0.2;
  int threads = 1;
  bool json = false, steps = false;
  app.add_option("--only", only, "cases whose name contains this");
  app.add_option("--seconds", budget, "of measuring each");
  app.add_option("--threads", threads, "that run each");
  app.add_flag("--json", json, "one object a line");
  app.add_flag("--steps", steps, "what each kernel took");
  CLI11_PARSE(app, argc, argv);
  try {
    const double peak = core_peak() * threads;
    if (!json) fmt::print("{} threads, peak {:.0f} GFLOP/s\n", threads, peak / 1e9);
    double total = 0, flops = 0;
    for (const Case& c : all_cases()) {
      if (c.name.find(only) == std::string::npos) continue;
      for (const char* what : {"forward", "dx", "dw"}) {
        const double seconds = measure(c, what, threads, budget, steps);
        total += seconds, flops += c.flops();
        if (json)
          fmt::print("{{\"name\": \"{}\", \"what\": \"{}\", \"n\": {}, \"c\": {}, \"size\": {}, \"o\": {}, \"k\": {}, "
                     "\"step\": {}, \"padding\": {}, \"transposed\": {}, \"flops\": {}, \"seconds\": {:.9f}, "
                     "\"peak\": {}}}\n",
                     c.name, what, c.n, c.c, c.size, c.o, c.k, c.step, c.padding, c.transposed, c.flops(), seconds,
                     peak);
        else
          fmt::print("{:<34} {:<8} {:8.3f} ms {:7.1f} GFLOP/s {:4.0f} %\n", c.name, what, seconds * 1e3,
                     c.flops() / seconds / 1e9, 100 * c.flops() / seconds / peak);
        std::fflush(stdout);
      }
    }
    if (!json && total > 0)
      fmt::print("{:<43} {:8.3f} ms {:7.1f} GFLOP/s {:4.0f} %\n", "in all", total * 1e3, flops / total / 1e9,
                 100 * flops / total / peak);
  } catch (const Error& e) {
    fmt::print(stderr, "bench_conv: {}\n", e.what());
    return 1;
  }
  return 0;
}
