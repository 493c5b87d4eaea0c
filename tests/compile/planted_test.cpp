// The harness proves itself: planted miscompilations, each of which the comparison with the interpreter has to catch.
#include "compiler/graph/interpret.h"
#include "compiler/graph/text.h"
#include "compiler/lower/lower.h"
#include "compiler/package/session.h"
#include "compiler/transform/pass.h"
#include "tests/support/convert.h"
#include "tests/support/error_bound.h"
#include "tests/support/fusion.h"
#include "tests/support/random_graph.h"
#include "tests/support/run_kernels.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

namespace gmc {
namespace {

using namespace graph;
using Kind = kernel::Instruction::Kind;

// ---- mistakes of a graph pass: what is compiled is not what was captured -------------------------------------------

// One entry that has something for every plant; shapes are square, so that types hide nothing.
Graph subject() {
  Graph g("step");
  const Var x = tests::data(g, "x", {8, 8}), y = tests::data(g, "y", {8, 8});
  const Var i = index(g, 0, {i32, {8, 8}});
  tests::output(matmul(x, y, true), "product");
  tests::output(sum(x - y, {0}), "columns");
  tests::output(slice(x, 0, 2, 7) / (slice(y, 0, 2, 7) * slice(y, 0, 2, 7) + 1e-3), "slices");
  tests::output(pad(x * 2.0, {1, 0}, {0, 2}, 0.5), "padded");
  tests::output(gather(x, {i}, {0}, {-1, 1}) * 3.0, "gathered");
  tests::output(scatter(x, y, {select(less(x, y), i, transpose(i, {1, 0}))}, {0}, {-1, 1}, "add"), "scattered");
  tests::output(cast(cast(x * 300.0, i32), f32), "whole");
  const Attributes draw{
      {"distribution", "uniform"}, {"dtype", "f32"}, {"name", "u"}, {"shape", Shape{8}}, {"stream", int64_t{77}}};
  tests::output(Var{&g, g.add(ops::random_op, {}, draw)} * 2.0, "draw");
  tests::output(reduce(windows(x, {0, 1}, {3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, -4), "max", {2, 3}), "pooled");
  return g;
}

using Edit = std::function<bool(Node&, std::vector<Value>&)>;  // whether it changed something

// The graph with the first node changed that the edit takes.
Graph planted(const Graph& from, const Edit& edit) {
  bool done = false;
  return transform::rebuild(from, [&](Graph& to, const Node& node, std::span<const Var> inputs) {
    Node changed = node;
    std::vector<Value> values;
    for (const Var& v : inputs) values.push_back(v.value);
    if (done || !edit(changed, values)) return transform::Replacements{};
    done = true;
    return transform::Replacements{{&to, to.add(*changed.op, values, changed.attributes)}};
  });
}

// The largest error of the compiled graph in units of the bound of the captured one.
double compiled_error(const Graph& captured, const Graph& compiled) {
  const auto values = tests::random_inputs(captured, 3);
  TensorMap inputs;
  for (const auto& [name, value] : values) inputs[name] = tests::to_host(value, f32);
  package::Options options{codegen::host_target(), "greedy", {}, "", 1, false};
  package::Session session(package::compile({"program", "{}", {}, {compiled}}, options), {1, true});
  const TensorMap got = session.run("step", inputs);
  double worst = 0;
  for (const auto& [name, want] : tests::ErrorBound::run(captured, values))
    for (size_t e = 0; e < want.error.size(); ++e)
      worst = std::max(worst, std::fabs(tests::element_of(got.at(name), e) - want.value.values[e]) / want.error[e]);
  return worst;
}

Edit attribute(const char* op, const char* key, Attribute value) {
  return
      [=](Node& n, std::vector<Value>&) { return n.op->name == std::string(op) && (n.attributes[key] = value, true); };
}
Edit swapped_operands(const char* op, size_t a, size_t b) {
  return [=](Node& n, std::vector<Value>& inputs) {
    return n.op->name == std::string(op) && (std::swap(inputs[a], inputs[b]), true);
  };
}

TEST(Planted, TheSubjectItselfIsRight) { EXPECT_LE(compiled_error(subject(), subject()), 1); }

TEST(Planted, MistakesOfPassesAreCaught) {
  const std::pair<const char* const, Edit> plants[] = {
      {"a lost flag", attribute("matmul", "transpose_a", false)},
      {"the wrong axis of a reduction", attribute("reduce", "axes", Shape{1})},
      {"swapped operands of a difference", swapped_operands("sub", 0, 1)},
      {"swapped sides of a select", swapped_operands("select", 1, 2)},
      {"swapped operands of a quotient", swapped_operands("div", 0, 1)},
      {"a stale key of a draw", attribute("random", "stream", int64_t{78})},
      {"another distribution", attribute("random", "distribution", std::string("normal"))},
      {"a lost mode", attribute("scatter", "mode", std::string("set"))},
      {"a slice off by one", attribute("slice", "start", Shape{1, 0})},
      {"a lost fill", attribute("pad", "value", 0.0)},
      {"padding on the other side", attribute("pad", "low", Shape{0, 0})},
      {"a lost fill of windows", attribute("windows", "value", 4.0)},
      {"a narrower integer", attribute("cast", "dtype", std::string("i8"))},
      {"an epsilon lost",
       [](Node& n, std::vector<Value>&) {
         return n.op == &constant_op && n.number("value") == 1e-3 && (n.attributes["value"] = 0.0, true);
       }},
      {"another monoid", attribute("reduce", "monoid", std::string("max"))},
  };
  for (const auto& [name, edit] : plants) {
    Edit here = edit;
    // Padding moved to the other side keeps the shape.
    if (std::string(name) == "padding on the other side")
      here = [](Node& n, std::vector<Value>&) {
        if (n.op != &pad_op) return false;
        n.attributes["low"] = Shape{0, 0};
        n.attributes["high"] = Shape{1, 2};
        return true;
      };
    const Graph wrong = planted(subject(), here);
    ASSERT_NE(print(wrong), print(planted(subject(), [](Node&, std::vector<Value>&) { return false; }))) << name;
    EXPECT_GT(compiled_error(subject(), wrong), 1) << name;
  }
}

// ---- mistakes of lowering: what the kernels compute is not what the plan says --------------------------------------

using Steps = std::vector<lower::Step>;
// Makes the mistake in the first place where it can be made.
using Plant = std::function<bool(Steps&)>;

Plant in_region(const std::function<bool(kernel::Region&)>& edit) {
  return [edit](Steps& steps) {
    for (lower::Step& step : steps)
      for (kernel::Phase& phase : step.kernel.phases)
        for (kernel::Region& region : phase.regions)
          if (edit(region)) return true;
    return false;
  };
}
Plant in_instruction(const std::function<bool(kernel::Instruction&)>& edit) {
  return in_region([edit](kernel::Region& r) { return std::any_of(r.body.begin(), r.body.end(), edit); });
}

TEST(Planted, MistakesOfLoweringAreCaught) {
  const std::pair<const char* const, Plant> plants[] = {
      {"an off-by-one tail",
       in_region([](kernel::Region& r) { return !r.product && r.extents.back() > 1 && r.extents.back()--; })},
      {"a dropped store", in_instruction([](auto& in) {
         return in.kind == Kind::store && (in.kind = Kind::constant, in.operands.clear(), true);
       })},
      {"a sum that is a maximum", in_instruction([](auto& in) {
         return in.kind == Kind::row && in.function == "sum" && (in.function = "max", true);
       })},
      {"a fold with another monoid", in_instruction([](auto& in) {
         return in.kind == Kind::fold && (in.function = in.function == "min" ? "max" : "min", true);
       })},
      {"a broadcast that is none", in_instruction([](auto& in) {
         return in.kind == Kind::load && in.access.strides.back() == 1 && (in.access.strides.back() = 0, true);
       })},
      {"an operand of another op", in_instruction([](auto& in) {
         return in.kind == Kind::compute && in.operands.size() == 2 && in.operands[0] != in.operands[1] &&
                in.function != "max" && in.function != "min" && (in.operands[1] = in.operands[0], true);
       })},
      {"an addition that is a product", in_instruction([](auto& in) {
         return in.kind == Kind::compute && in.function == "add" && (in.function = "mul", true);
       })},
      {"a transposed operand of a product", in_region([](kernel::Region& r) {
         return r.product && r.extents[0] == r.product->k && r.extents[0] > 1 && r.extents.size() == 2 &&
                (r.product->transpose_a = !r.product->transpose_a, true);
       })},
      {"a product one step short",
       in_region([](kernel::Region& r) { return r.product && r.product->k > 1 && r.product->k--; })},
      {"an aliased buffer",
       [](Steps& steps) {
         for (lower::Step& step : steps)
           for (size_t p = 0; p < step.values.size(); ++p)
             for (size_t q = p + 1; q < step.values.size(); ++q) {
               using Mode = kernel::Parameter::Mode;
               const kernel::Parameter &a = step.kernel.parameters[p], &b = step.kernel.parameters[q];
               if (a.mode != Mode::in || b.mode != Mode::in || a.elements != b.elements) continue;
               step.values[q] = step.values[p];
               return true;
             }
         return false;
       }},
  };
  for (const auto& [name, plant] : plants) {
    int made = 0, caught = 0;
    for (uint64_t seed = 0; seed < 60; ++seed) {
      const Graph g = transform::run_pipeline(tests::random_graph(seed, 24));
      const fusion::View view(g);
      Steps steps = lower::lower(view, seed % 2 ? tests::random_plan(view, seed) : fusion::policy_greedy(view));
      const bool calls = std::any_of(steps.begin(), steps.end(), [](const auto& s) { return !s.library.empty(); });
      if (calls || !plant(steps)) continue;
      ++made;
      caught += !(tests::lowering_error(g, steps, tests::random_inputs(g, seed)) < 1e-9);
    }
    EXPECT_GT(made, 0) << name;
    // A mistake may change nothing: a maximum of one element is its sum.
    EXPECT_GE(caught * 10, made * 7) << name << ": " << caught << " of " << made;
  }
}

}  // namespace
}  // namespace gmc
