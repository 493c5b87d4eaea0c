#include "compiler/graph/core_loop.h"

#include "compiler/graph/core_rules.h"
#include "compiler/graph/interpret.h"
#include "runtime/execute/random.h"

#include <algorithm>

namespace gmc::graph {
namespace {

size_t count_of(const Attributes& attributes, const char* key, size_t most) {
  const int64_t count = get<int64_t>(attributes, key);
  if (count < 0 || static_cast<uint64_t>(count) > most) fail("{} {} of {} operands", key, count, most);
  return static_cast<size_t>(count);
}

const Graph& region(const Regions& regions, size_t index, size_t expected) {
  if (regions.size() != expected) fail("expected {} regions, got {}", expected, regions.size());
  return *regions[index];
}

void check_arguments(const Graph& body, const std::vector<TensorType>& expected) {
  const std::vector<Value> given = arguments(body);
  if (given.size() != expected.size())
    fail("region '{}' has {} arguments, expected {}", body.entry(), given.size(), expected.size());
  for (size_t i = 0; i < given.size(); ++i)
    if (!(body.type(given[i]) == expected[i]))
      fail("argument '{}' of region '{}' is {}, expected {}", body.node(given[i]).text("name"), body.entry(),
           to_string(body.type(given[i])), to_string(expected[i]));
}

// Arguments of a loop's region; returns their types without the index.
std::vector<TensorType> check_loop_arguments(const Graph& body, Types operands, size_t carries, size_t inputs) {
  std::vector<TensorType> slices = slice_types(operands, carries, inputs), expected = slices;
  const std::vector<Value> given = arguments(body);
  const bool narrow = !given.empty() && body.type(given[0]).dtype == i32;
  expected.insert(expected.begin(), TensorType{narrow ? i32 : i64, {}});
  check_arguments(body, expected);
  return slices;
}

std::vector<TensorType> output_types(const Graph& body) {
  if (body.outputs().empty()) fail("region '{}' has no output", body.entry());
  std::vector<TensorType> out;
  for (const Output& o : body.outputs()) out.push_back(body.type(o.value));
  return out;
}

void check_carries(const Graph& body, Types operands, size_t carries) {
  const std::vector<TensorType> results = output_types(body);
  if (results.size() < carries)
    fail("region '{}' has {} outputs for {} carries", body.entry(), results.size(), carries);
  for (size_t k = 0; k < carries; ++k)
    if (!(results[k] == operands[k]))
      fail("carry {} begins as {} and becomes {}", k, to_string(operands[k]), to_string(results[k]));
}

std::vector<TensorType> infer_scan(Types operands, const Attributes& attributes, const Regions& regions) {
  const Graph& body = region(regions, 0, 1);
  const size_t carries = count_of(attributes, "carries", operands.size()),
               inputs = count_of(attributes, "inputs", operands.size() - carries);
  const int64_t trips = get<int64_t>(attributes, "trips");
  if (trips < 0) fail("{} trips", trips);
  for (size_t k = carries; k < carries + inputs; ++k)
    if (operands[k].shape.empty() || operands[k].shape[0] != trips)
      fail("per-step input {} is {}, expected a leading dimension of {}", k - carries, to_string(operands[k]), trips);
  check_loop_arguments(body, operands, carries, inputs);
  check_carries(body, operands, carries);
  std::vector<TensorType> results = output_types(body);
  for (size_t k = carries; k < results.size(); ++k) {
    results[k].shape.insert(results[k].shape.begin(), trips);
    byte_size(results[k].dtype, results[k].shape);
  }
  return results;
}

std::vector<TensorType> infer_loop(Types operands, const Attributes& attributes, const Regions& regions) {
  if (get<int64_t>(attributes, "inputs") != 0) fail("a loop has no per-step inputs: use scan");
  std::vector<TensorType> results = infer_scan(operands, attributes, regions);
  const auto carries = static_cast<size_t>(get<int64_t>(attributes, "carries"));
  if (results.size() != carries) fail("a loop has no outputs beside its {} carries, got {}", carries, results.size());
  return results;
}

std::vector<TensorType> infer_while(Types operands, const Attributes& attributes, const Regions& regions) {
  const Graph &condition = region(regions, 0, 2), &body = region(regions, 1, 2);
  const size_t carries = count_of(attributes, "carries", operands.size()),
               inputs = count_of(attributes, "inputs", operands.size() - carries);
  const int64_t limit = get<int64_t>(attributes, "limit");
  if (limit < -1) fail("limit {}: expected a number of trips, or -1 for none", limit);
  if (inputs > 0 && limit < 0) fail("per-step inputs need a limit");
  for (size_t k = carries; k < carries + inputs; ++k)
    if (operands[k].shape.empty() || operands[k].shape[0] != limit)
      fail("per-step input {} is {}, expected a leading dimension of {}", k - carries, to_string(operands[k]), limit);
  check_loop_arguments(condition, operands, carries, inputs);
  check_loop_arguments(body, operands, carries, inputs);
  const std::vector<TensorType> says = output_types(condition);
  if (says.size() != 1 || !(says[0] == TensorType{boolean, {}}))
    fail("region '{}' must give one bool[]", condition.entry());
  check_carries(body, operands, carries);
  std::vector<TensorType> results = output_types(body);
  if (results.size() != carries) fail("a while has no outputs beside its {} carries, got {}", carries, results.size());
  return results;
}

std::vector<TensorType> infer_cond(Types operands, const Attributes&, const Regions& regions) {
  const Graph &then = region(regions, 0, 2), &otherwise = region(regions, 1, 2);
  if (operands.empty() || !(operands[0] == TensorType{boolean, {}}))
    fail("the predicate is {}, expected bool[]", operands.empty() ? "missing" : to_string(operands[0]));
  const std::vector<TensorType> captured(operands.begin() + 1, operands.end());
  check_arguments(then, captured);
  check_arguments(otherwise, captured);
  const std::vector<TensorType> a = output_types(then), b = output_types(otherwise);
  if (a.size() != b.size()) fail("one side gives {} values, the other {}", a.size(), b.size());
  for (size_t k = 0; k < a.size(); ++k)
    if (!(a[k] == b[k])) fail("value {} is {} on one side and {} on the other", k, to_string(a[k]), to_string(b[k]));
  return a;
}

std::vector<Reference> run_region(const Graph& body, const std::vector<Reference>& given, uint64_t seed, uint64_t step,
                                  uint64_t loop) {
  std::map<std::string, Reference> inputs;
  const std::vector<Value> names = arguments(body);
  for (size_t i = 0; i < names.size(); ++i) inputs[body.node(names[i]).text("name")] = given[i];
  Interpretation results = interpret(body, inputs, seed, step, loop);
  std::vector<Reference> out;
  for (const Output& o : body.outputs()) out.push_back(std::move(results.outputs.at(o.name)));
  return out;
}

// The arguments of trip i, carries left empty.
std::vector<Reference> arguments_at(const ReferenceArguments& a, const LoopParts& parts, int64_t i) {
  std::vector<Reference> out{{{}, {static_cast<double>(i)}}};
  for (size_t k = 0; k < a.inputs.size(); ++k) {
    const bool sliced = k >= parts.carries && k < parts.carries + parts.inputs;
    if (k < parts.carries || !sliced) {
      out.push_back(k < parts.carries ? Reference{} : *a.inputs[k]);
      continue;
    }
    Reference slice{Shape(a.inputs[k]->shape.begin() + 1, a.inputs[k]->shape.end()), {}};
    const int64_t size = element_count(slice.shape);
    const auto from = a.inputs[k]->values.begin() + i * size;
    slice.values.assign(from, from + size);
    out.push_back(std::move(slice));
  }
  return out;
}

void put_carries(std::vector<Reference>& given, const std::vector<Reference>& carries, size_t count) {
  for (size_t k = 0; k < count; ++k) given[k + 1] = carries[k];
}

std::vector<Reference> interpret_scan(const ReferenceArguments& a) {
  const LoopParts parts = loop_parts(a.node);
  std::vector<Reference> results;
  for (size_t k = 0; k < parts.carries; ++k) results.push_back(*a.inputs[k]);
  for (size_t k = parts.carries; k < a.node.types.size(); ++k) {
    const Shape& shape = a.node.types[k].shape;
    results.push_back({shape, std::vector<double>(static_cast<size_t>(element_count(shape)))});
  }
  for (int64_t n = 0; n < parts.trips; ++n) {
    const int64_t i = parts.reverse ? parts.trips - 1 - n : n;
    std::vector<Reference> given = arguments_at(a, parts, i);
    put_carries(given, results, parts.carries);
    const uint64_t loop = execute::loop_index(a.loop, index_bound(a.node), static_cast<uint64_t>(i));
    std::vector<Reference> got = run_region(*a.node.regions[0], given, a.seed, a.step, loop);
    for (size_t k = 0; k < parts.carries; ++k) results[k] = std::move(got[k]);
    for (size_t k = parts.carries; k < got.size(); ++k)
      std::copy(got[k].values.begin(), got[k].values.end(),
                results[k].values.begin() + i * static_cast<int64_t>(got[k].values.size()));
  }
  return results;
}

std::vector<Reference> interpret_while(const ReferenceArguments& a) {
  const LoopParts parts = loop_parts(a.node);
  std::vector<Reference> carries;
  for (size_t k = 0; k < parts.carries; ++k) carries.push_back(*a.inputs[k]);
  for (int64_t i = 0; parts.trips < 0 || i < parts.trips; ++i) {
    std::vector<Reference> given = arguments_at(a, parts, i);
    put_carries(given, carries, parts.carries);
    const uint64_t loop = execute::loop_index(a.loop, index_bound(a.node), static_cast<uint64_t>(i));
    if (run_region(*a.node.regions[0], given, a.seed, a.step, loop)[0].values[0] == 0) break;
    carries = run_region(*a.node.regions[1], given, a.seed, a.step, loop);
  }
  return carries;
}

std::vector<Reference> interpret_cond(const ReferenceArguments& a) {
  std::vector<Reference> given;
  for (size_t k = 1; k < a.inputs.size(); ++k) given.push_back(*a.inputs[k]);
  const size_t side = a.inputs[0]->values[0] != 0 ? 0 : 1;
  return run_region(*a.node.regions[side], given, a.seed, a.step, a.loop);
}

std::vector<Var> results_of(Graph& g, Value first) {
  std::vector<Var> out;
  for (size_t r = 0; r < g.node(first).types.size(); ++r) out.push_back({&g, {first.node, static_cast<int32_t>(r)}});
  return out;
}

std::vector<Value> values_of(std::initializer_list<const std::vector<Var>*> lists) {
  std::vector<Value> out;
  for (const auto* list : lists)
    for (const Var& v : *list) out.push_back(v.value);
  return out;
}

}  // namespace

const OpDef loop_op{.name = "loop",
                    .category = Category::loop,
                    .arity = -1,
                    .infer = nullptr,
                    .infer_regions = infer_loop,
                    .dtypes = any_dtype,
                    .references = interpret_scan};

const OpDef scan_op{.name = "scan",
                    .category = Category::loop,
                    .arity = -1,
                    .infer = nullptr,
                    .infer_regions = infer_scan,
                    .dtypes = any_dtype,
                    .references = interpret_scan};

const OpDef while_op{.name = "while",
                     .category = Category::while_loop,
                     .arity = -1,
                     .infer = nullptr,
                     .infer_regions = infer_while,
                     .dtypes = any_dtype,
                     .references = interpret_while};

const OpDef cond_op{.name = "cond",
                    .category = Category::cond,
                    .arity = -1,
                    .infer = nullptr,
                    .infer_regions = infer_cond,
                    .dtypes = any_dtype,
                    .references = interpret_cond};

LoopParts loop_parts(const Node& node) {
  LoopParts parts;
  const bool counted = node.op->category == Category::loop;
  parts.trips = node.integer(counted ? "trips" : "limit");
  parts.reverse = counted && node.flag("reverse");
  parts.carries = static_cast<size_t>(node.integer("carries"));
  parts.inputs = static_cast<size_t>(node.integer("inputs"));
  parts.captured = node.inputs.size() - parts.carries - parts.inputs;
  parts.outputs = node.types.size() - parts.carries;
  return parts;
}

std::vector<TensorType> slice_types(Types operands, size_t carries, size_t inputs) {
  std::vector<TensorType> out(operands.begin(), operands.end());
  for (size_t k = carries; k < carries + inputs; ++k) out[k].shape.erase(out[k].shape.begin());
  return out;
}

uint64_t index_bound(const Node& loop) {
  const int64_t trips = loop_parts(loop).trips;
  return trips < 0 ? execute::unbounded_loop : static_cast<uint64_t>(trips);
}

std::vector<Var> scan(Graph& g, Region body, int64_t trips, const std::vector<Var>& carries,
                      const std::vector<Var>& inputs, const std::vector<Var>& captured, bool reverse) {
  const bool plain = inputs.empty() && body->outputs().size() == carries.size();
  return results_of(g, g.add(plain ? loop_op : scan_op, values_of({&carries, &inputs, &captured}),
                             {{"carries", static_cast<int64_t>(carries.size())},
                              {"inputs", static_cast<int64_t>(inputs.size())},
                              {"reverse", reverse},
                              {"trips", trips}},
                             {std::move(body)}));
}

std::vector<Var> while_loop(Graph& g, Region condition, Region body, int64_t limit, const std::vector<Var>& carries,
                            const std::vector<Var>& captured) {
  return results_of(g,
                    g.add(while_op, values_of({&carries, &captured}),
                          {{"carries", static_cast<int64_t>(carries.size())}, {"inputs", int64_t{0}}, {"limit", limit}},
                          {std::move(condition), std::move(body)}));
}

std::vector<Var> cond(Var predicate, Region then, Region otherwise, const std::vector<Var>& captured) {
  const std::vector<Var> first{predicate};
  Graph& g = *predicate.graph;
  return results_of(g, g.add(cond_op, values_of({&first, &captured}), {}, {std::move(then), std::move(otherwise)}));
}

Graph with_arguments(const Graph& region, const std::vector<Value>& order) {
  Graph to(region.entry());
  std::vector<int32_t> at(region.nodes().size(), -1);
  for (Value v : order) at[static_cast<size_t>(v.node)] = to.copy(region.node(v), {}).node;
  for (size_t i = 0; i < region.nodes().size(); ++i) {
    const Node& n = region.nodes()[i];
    if (at[i] >= 0 || (n.op->category == Category::input && n.text("role") == "argument")) continue;
    std::vector<Value> inputs;
    for (Value v : n.inputs) inputs.push_back({at[static_cast<size_t>(v.node)], v.result});
    at[i] = to.copy(n, std::move(inputs)).node;
  }
  std::vector<Output> outputs = region.outputs();
  for (Output& o : outputs) o.value.node = at[static_cast<size_t>(o.value.node)];
  to.set_outputs(std::move(outputs));
  return to;
}

Var argument(Graph& region, const std::string& name, TensorType type) {
  std::string unique = name;
  while (region.find_input(unique).valid()) unique += '\'';
  return input(region, unique, "argument", std::move(type));
}

}  // namespace gmc::graph
