// Calls of the runtime, compiled, against the interpreter: every op on its samples in every dtype it takes; beside
// generated kernels; with what is unusual for them.
#include "ops/op_list.h"
#include "ops/registry.h"
#include "tests/support/sample_program.h"

#include <limits>

namespace gmc {
namespace {

using namespace graph;

std::vector<const OpDef*> routine_ops() {
  std::vector<const OpDef*> out;
  for (const OpDef* op : ops::registry())
    if (op->category == Category::routine) out.push_back(op);
  return out;
}

class RoutineOp : public testing::TestWithParam<const OpDef*> {};

TEST_P(RoutineOp, agrees_with_the_interpreter_in_every_dtype) {
  const OpDef& op = *GetParam();
  int tried = 0;
  for (const Sample& sample : op.samples())
    for (DType dtype : {f32, f64, i32, i64, i8, u8, boolean}) {
      if (!(op.dtypes & only(dtype))) continue;
      if (dtype == boolean && sample.attributes.count("mode") &&
          std::get<std::string>(sample.attributes.at("mode")) != "set")
        continue;
      const tests::SampleProgram program(op, sample, dtype);
      tests::expect_program(program.graph, program.inputs, program.reference());
      if (HasFatalFailure()) FAIL() << name_of(dtype);
      ++tried;
    }
  EXPECT_GT(tried, 0);
}

INSTANTIATE_TEST_SUITE_P(Ops, RoutineOp, testing::ValuesIn(routine_ops()),
                         [](const auto& op) { return std::string(op.param->name); });

void expect_agreement(const Graph& g, TensorMap inputs) {
  std::map<std::string, Reference> values;
  for (const auto& [name, tensor] : inputs) values[name] = {tensor.shape, tests::values_of(tensor)};
  tests::expect_program(g, inputs, interpret(g, values));
}

// Operands that are not dense where they lie are copied; results are read by generated code, through movement too.
TEST(Routines, StandBetweenGeneratedKernels) {
  Graph g("trial");
  const TensorType whole{f32, {5, 7}}, part{f32, {5, 9}}, at{i64, {9, 5}};
  const Var x = input(g, "x", "data", whole), updates = input(g, "u", "data", part), i = input(g, "i", "data", at);
  const Var y = scatter(transpose(x + 1.0, {1, 0}), transpose(updates, {1, 0}), {i}, {0}, {-1, 1}, "add");
  g.add_output({"y", y.value, false});
  g.add_output({"z", (transpose(y, {1, 0}) * x).value, false});
  expect_agreement(g, {{"x", tests::random_tensor(whole, 1, -1, 1)},
                       {"u", tests::random_tensor(part, 2, -1, 1)},
                       {"i", tests::random_tensor(at, 3, -2, 9)}});
}

// The first rows of an input lie at its start, and yet are copied: a call is given whole values.
TEST(Routines, ReadPartsOfInputs) {
  Graph g("trial");
  const TensorType type{f32, {6, 5}};
  const Var x = input(g, "x", "data", type);
  const Attributes along{{"axis", int64_t{1}}, {"monoid", "sum"}};
  g.add_output({"rows", apply(ops::cumulate_op, {slice(x, 0, 0, 3)}, along).value, false});
  g.add_output({"all", apply(ops::cumulate_op, {reshape(x, {3, 10})}, along).value, false});
  g.add_output({"turned", apply(ops::cumulate_op, {flip(x, {1})}, along).value, false});
  g.add_output({"number", apply(ops::cumulate_op, {index(g, 1, type)}, along).value, false});
  expect_agreement(g, {{"x", tests::random_tensor(type, 1, -1, 1)}});
}

// Tables are data of the package: read by calls and by generated code, given out, made the new value of a state.
TEST(Routines, ReadTables) {
  Graph g("trial");
  const TensorType type{f32, {3, 4}};
  const Var x = input(g, "x", "data", type);
  const Var table = literal(g, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, type);
  const Var rows = broadcast(literal(g, {2, 0}, {i64, {2}}), {2, 4}, {0});
  const Var y = scatter(x, broadcast_to(constant(g, 100), {2, 4}), {rows}, {0}, {-1, 1}, "add");
  g.add_output({"y", y.value, false});
  g.add_output({"t", table.value, false});
  g.add_output({"again", table.value, false});
  g.add_output({"sum", (x + table).value, false});
  expect_agreement(g, {{"x", tests::random_tensor(type, 1, -1, 1)}});
}

TEST(Routines, ATableBecomesTheValueOfAState) {
  Graph g("trial");
  const TensorType type{f32, {3}};
  const Var s = input(g, "s", "state", type);
  g.add_output({"old", s.value, false});
  g.add_output({"s", literal(g, {1, 2, 3}, type).value, true});
  const package::Options options{codegen::host_target(), "greedy", {}, "", 1, false};
  package::Session session(package::compile({"trial", "{}", {{"s", type, true, false}}, {g}}, options), {1, true});
  session.set_state({{"s", tests::tensor_of(type, {7, 8, 9})}}, true);
  EXPECT_EQ(tests::values_of(session.run("trial", {}).at("old")), (std::vector<double>{7, 8, 9}));
  EXPECT_EQ(tests::values_of(session.run("trial", {}).at("old")), (std::vector<double>{1, 2, 3}));
}

TEST(Routines, AreCountedInThePlan) {
  Graph g("trial");
  const TensorType type{f32, {3, 4}};
  const Var x = input(g, "x", "data", type), i = input(g, "i", "data", {i32, {3, 4}});
  g.add_output({"y", scatter(x, x, {i}, {0}, {-1, 1}, "set").value, false});
  const package::Compiled compiled =
      package::compile({"trial", "{}", {}, {g}}, {codegen::host_target(), "none", {}, "", 1, false});
  const fusion::PlanReport& r = compiled.entries[0].report;
  EXPECT_EQ(r.runtime_calls, 1);
  EXPECT_EQ(r.generated + r.products + r.library_calls, 0);
  EXPECT_EQ(compiled.functions, std::vector<std::string>{"gmc_scatter"});
  EXPECT_EQ(r.bytes_total, 4 * 12 * 3);
}

Var called(const OpDef& op, Var x, int32_t result, Attributes attributes = {}) {
  return {x.graph, {apply(op, {x}, std::move(attributes)).value.node, result}};
}

// Ties keep their order, -0 and 0 are a tie, NaN is last in both directions; short lines and long ones.
TEST(Sort, OrdersWhatIsUnusual) {
  constexpr double nan = std::numeric_limits<double>::quiet_NaN(), inf = std::numeric_limits<double>::infinity();
  std::vector<double> values{0.0, nan, -0.0, inf, 3, -inf, 3, -0.0, nan, -7};
  for (int64_t n : {int64_t{10}, int64_t{300}}) {
    std::vector<double> line;
    for (int64_t i = 0; i < n; ++i) line.push_back(values[static_cast<size_t>(i * i % 10)]);
    for (DType dtype : {f32, f64})
      for (bool descending : {false, true}) {
        Graph g("trial");
        const Var x = input(g, "x", "data", {dtype, {n}});
        for (int32_t r : {0, 1})
          g.add_output({r ? "from" : "values",
                        called(ops::sort_op, x, r, {{"axis", int64_t{0}}, {"descending", descending}}).value, false});
        expect_agreement(g, {{"x", tests::tensor_of({dtype, {n}}, line)}});
      }
  }
}

// Many tiles, and lines that lie side by side.
TEST(Scans, OfManyTiles) {
  Graph g("trial");
  const TensorType type{f32, {3, 400, 70}};
  const Var x = input(g, "x", "data", type);
  for (int64_t axis : {0, 1, 2}) {
    const Attributes a{{"axis", axis}, {"monoid", "sum"}};
    g.add_output({fmt::format("sum{}", axis), called(ops::cumulate_op, x, 0, a).value, false});
    g.add_output({fmt::format("order{}", axis), called(ops::sort_op, x, 1, a).value, false});
  }
  expect_agreement(g, {{"x", tests::random_tensor(type, 1, -1, 1)}});
}

// Where there is no answer there is no crash: zeros, ones that repeat, NaN, nothing positive definite.
TEST(Factorisations, OfBadMatricesEnd) {
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  for (const std::vector<double>& values : {std::vector<double>(9, 0.0),
                                            std::vector<double>(9, 1.0),
                                            {1, 2, 3, nan, 4, 5, 6, 7, 8},
                                            {-1, 0, 0, 0, 0, 0, 0, 0, 2}})
    for (DType dtype : {f32, f64}) {
      Graph g("trial");
      const TensorType type{dtype, {3, 3}};
      const Var x = input(g, "x", "data", type);
      int count = 0;
      for (const auto& [op, results] : {std::pair{&ops::cholesky_op, 1}, {&ops::lu_op, 3}, {&ops::qr_op, 2}})
        for (int32_t r = 0; r < results; ++r)
          g.add_output({fmt::format("y{}", count++), called(*op, x, r).value, false});
      g.add_output({"t", apply(ops::triangular_solve_op, {x, x}).value, false});
      const package::Compiled compiled =
          package::compile({"trial", "{}", {}, {g}}, {codegen::host_target(), "none", {}, "", 1, false});
      package::Session session(compiled, {2, true});
      EXPECT_EQ(session.run("trial", {{"x", tests::tensor_of(type, values)}}).size(), 7u);
    }
}

TEST(Factorisations, OfPositiveDefiniteMatrices) {
  for (DType dtype : {f32, f64})
    for (int64_t n : {1, 2, 5, 33}) {
      Graph g("trial");
      const TensorType type{dtype, {4, n, n}};
      const Var x = input(g, "x", "data", type);
      for (const OpDef* op : {&ops::cholesky_op, &ops::lu_op, &ops::qr_op})
        g.add_output({op->name, called(*op, x, 0).value, false});
      HostTensor matrices = tests::random_tensor(type, 1, -1, 1);
      std::vector<double> values = tests::values_of(matrices);
      for (size_t i = 0; i < values.size(); ++i)
        if (static_cast<int64_t>(i) / n % n == static_cast<int64_t>(i) % n) values[i] += 2 * static_cast<double>(n);
      expect_agreement(g, {{"x", tests::tensor_of(type, values)}});
    }
}

}  // namespace
}  // namespace gmc
