// Control flow, unrolled or folded; sequences and optionals, which exist only while the model is read.
#include "tools/onnx/build.h"
#include "tools/onnx/importer.h"

#include <algorithm>

namespace gmc::onnx {
namespace {

constexpr int64_t max_steps = 4096;

std::vector<Value> branch(Call& c) {
  if (const auto known = c.if_known(0)) {
    if (known->size() != 1) fail("the condition has {} elements", known->size());
    return c.importer().run(c.graph((*known)[0] != 0 ? "then_branch" : "else_branch"), {});
  }
  // Nothing that is computed has an effect: both sides, then a choice.
  const auto yes = c.importer().run(c.graph("then_branch"), {}), no = c.importer().run(c.graph("else_branch"), {});
  if (yes.size() != no.size()) fail("the branches have {} and {} outputs", yes.size(), no.size());
  std::vector<Value> out;
  for (size_t i = 0; i < yes.size(); ++i) {
    const bool alike = yes[i].var.valid() && no[i].var.valid() && yes[i].var.type() == no[i].var.type();
    if (!alike) c.number(0);  // asks for the condition
    out.push_back({graph::select(graph::reshape(c[0], {}), yes[i].var, no[i].var), nullptr});
  }
  return out;
}

Var tensor(const Value& v) {
  if (!v.var.valid()) fail("a value that is scanned is no tensor");
  return v.var;
}

// Along a new dimension `axis`; `like` says what nothing looks like.
Var stacked(const std::vector<Var>& parts, int64_t axis) {
  std::vector<Var> rows;
  for (const Var& v : parts) rows.push_back(unsqueezed(v, axis));
  return concat(rows, axis);
}

std::vector<Value> loop(Call& c) {
  const Graph& body = c.graph("body");
  const int64_t trips = c.has(0) ? c.integer(0) : max_steps + 1;
  bool go = c.has(1) ? c.number(1) != 0 : true;
  const size_t carried = c.count() > 2 ? c.count() - 2 : 0;
  if (body.inputs.size() != carried + 2 || body.outputs.size() < carried + 1)
    fail("attribute 'body' has {} inputs and {} outputs for {} carried values", body.inputs.size(), body.outputs.size(),
         carried);
  std::vector<Value> state;
  for (size_t i = 0; i < carried; ++i) state.push_back(c.has(i + 2) ? c.value(i + 2) : Value{});
  std::vector<std::vector<Var>> scans(body.outputs.size() - carried - 1);
  for (int64_t step = 0; go && step < trips; ++step) {
    if (step >= max_steps) unsupported("more than {} steps", max_steps);
    std::vector<Value> inputs{{c.constant(host_tensor(DType::i64, {}, {static_cast<double>(step)})), nullptr},
                              {c.constant(1, DType::boolean), nullptr}};
    inputs.insert(inputs.end(), state.begin(), state.end());
    const std::vector<Value> results = c.importer().run(body, inputs);
    if (c.has(1)) {  // without a condition, the body's is ignored
      const auto condition = c.importer().evaluate(tensor(results[0]));
      if (condition.size() != 1) fail("the condition has {} elements", condition.size());
      go = condition[0] != 0;
    }
    state.assign(results.begin() + 1, results.begin() + 1 + static_cast<ptrdiff_t>(carried));
    for (size_t i = 0; i < scans.size(); ++i) scans[i].push_back(tensor(results[carried + 1 + i]));
  }
  for (const auto& parts : scans) {
    if (parts.empty()) unsupported("a loop that takes no step and collects values");
    state.push_back({stacked(parts, 0), nullptr});
  }
  return state;
}

// One direction of everything that is scanned; operands without the batch of version 8.
std::vector<Value> scan_of(Call& c, std::vector<Value> states, const std::vector<Var>& inputs) {
  const Graph& body = c.graph("body");
  const size_t n = inputs.size(), carried = states.size();
  if (body.inputs.size() != carried + n || body.outputs.size() < carried)
    fail("attribute 'body' has {} inputs and {} outputs for {} states and {} inputs", body.inputs.size(),
         body.outputs.size(), carried, n);
  const size_t outputs = body.outputs.size() - carried;
  const auto list = [&](const char* name, size_t count) {
    std::vector<int64_t> v = c.integers(name, std::vector<int64_t>(count, 0));
    if (v.size() != count) fail("attribute '{}' has {} numbers, expected {}", name, v.size(), count);
    return v;
  };
  const auto axes = list("scan_input_axes", n), out_axes = list("scan_output_axes", outputs);
  const auto backwards = list(c.version >= 9 ? "scan_input_directions" : "directions", n),
             out_backwards = list("scan_output_directions", outputs);
  int64_t steps = -1;
  for (size_t i = 0; i < n; ++i) {
    const Shape& shape = inputs[i].shape();
    const int64_t extent = shape[static_cast<size_t>(c.axis_in(axes[i], std::ssize(shape)))];
    if (steps >= 0 && extent != steps) fail("inputs of {} and {} steps", steps, extent);
    steps = extent;
  }
  if (steps < 1) unsupported("a scan of no steps");
  if (steps > max_steps) unsupported("more than {} steps", max_steps);
  std::vector<std::vector<Var>> collected(outputs);
  for (int64_t step = 0; step < steps; ++step) {
    std::vector<Value> operands = states;
    for (size_t i = 0; i < n; ++i) {
      const int64_t axis = c.axis_in(axes[i], std::ssize(inputs[i].shape())),
                    at = backwards[i] != 0 ? steps - 1 - step : step;
      operands.push_back({squeezed(graph::slice(inputs[i], axis, at, at + 1), axis), nullptr});
    }
    const std::vector<Value> results = c.importer().run(body, operands);
    states.assign(results.begin(), results.begin() + static_cast<ptrdiff_t>(carried));
    for (size_t i = 0; i < outputs; ++i) collected[i].push_back(tensor(results[carried + i]));
  }
  for (size_t i = 0; i < outputs; ++i) {
    if (out_backwards[i] != 0) std::reverse(collected[i].begin(), collected[i].end());
    states.push_back({stacked(collected[i], c.axis_in(out_axes[i], std::ssize(collected[i][0].shape()) + 1)), nullptr});
  }
  return states;
}

std::vector<Value> scan(Call& c) {
  const int64_t n = c.integer("num_scan_inputs");
  const size_t first = c.version >= 9 ? 0 : 1;  // version 8 begins with the lengths of the sequences
  if (n < 1 || static_cast<size_t>(n) + first > c.count()) fail("attribute 'num_scan_inputs' is {}", n);
  const size_t carried = c.count() - first - static_cast<size_t>(n);
  if (first == 1 && c.has(0)) unsupported("sequences of different lengths");
  if (first == 0) {
    std::vector<Value> states;
    std::vector<Var> inputs;
    for (size_t i = 0; i < c.count(); ++i) {
      if (i < carried)
        states.push_back(c.value(i));
      else
        inputs.push_back(c[i]);
    }
    return scan_of(c, states, inputs);
  }
  // Version 8: each sample of the batch by itself.
  std::vector<std::vector<Var>> results;
  const int64_t batch = c[1].shape().at(0);
  if (batch < 1 || batch > max_steps) unsupported("a batch of {}", batch);
  for (int64_t b = 0; b < batch; ++b) {
    std::vector<Value> states;
    std::vector<Var> inputs;
    for (size_t i = 1; i < c.count(); ++i) {
      const Var sample = squeezed(graph::slice(c[i], 0, b, b + 1), 0);
      if (i - 1 < carried)
        states.push_back({sample, nullptr});
      else
        inputs.push_back(sample);
    }
    const std::vector<Value> one_of = scan_of(c, states, inputs);
    results.resize(one_of.size());
    for (size_t i = 0; i < one_of.size(); ++i) results[i].push_back(tensor(one_of[i]));
  }
  std::vector<Value> out;
  for (const auto& parts : results) out.push_back({stacked(parts, 0), nullptr});
  return out;
}

// ---- sequences -----------------------------------------------------------------------------------------------------

std::vector<Value> sequence(std::vector<Value> items) {
  return {{Var{}, std::make_shared<const std::vector<Value>>(std::move(items))}};
}

// Counted from the end if negative; `last`: the greatest that is allowed.
size_t position(Call& c, size_t operand, size_t count, size_t last) {
  const int64_t at = c.integer(operand), n = static_cast<int64_t>(count);
  if (at < -n || at > static_cast<int64_t>(last)) fail("position {} of {} elements", at, n);
  return static_cast<size_t>(at < 0 ? at + n : at);
}

std::vector<Value> sequence_construct(Call& c) {
  std::vector<Value> items;
  for (size_t i = 0; i < c.count(); ++i) items.push_back({c[i], nullptr});
  return sequence(std::move(items));
}
Value element(Call& c) {
  const auto& items = c.sequence(0);
  if (items.empty()) fail("the sequence is empty");
  return items[position(c, 1, items.size(), items.size() - 1)];
}
std::vector<Value> sequence_at(Call& c) { return {element(c)}; }
std::vector<Value> sequence_erase(Call& c) {
  std::vector<Value> items = c.sequence(0);
  if (items.empty()) fail("the sequence is empty");
  items.erase(items.begin() +
              static_cast<ptrdiff_t>(c.has(1) ? position(c, 1, items.size(), items.size() - 1) : items.size() - 1));
  return sequence(std::move(items));
}
std::vector<Value> sequence_insert(Call& c) {
  std::vector<Value> items = c.sequence(0);
  const size_t at = c.has(2) ? position(c, 2, items.size(), items.size()) : items.size();
  items.insert(items.begin() + static_cast<ptrdiff_t>(at), Value{c[1], nullptr});
  return sequence(std::move(items));
}
std::vector<Value> sequence_length(Call& c) {
  return one(c.constant(host_tensor(DType::i64, {}, {static_cast<double>(c.sequence(0).size())})));
}
std::vector<Value> concat_from_sequence(Call& c) {
  std::vector<Var> parts;
  for (const Value& v : c.sequence(0)) parts.push_back(tensor(v));
  if (parts.empty()) fail("the sequence is empty");
  const auto rank = std::ssize(parts[0].shape());
  if (c.integer("new_axis", 0) != 0) return one(stacked(parts, c.axis_in(c.integer("axis"), rank + 1)));
  return one(concat(parts, c.axis_in(c.integer("axis"), rank)));
}
std::vector<Value> split_to_sequence(Call& c) {
  const int64_t axis = c.axis_in(c.integer("axis", 0), c.rank(0)), extent = c[0].shape()[static_cast<size_t>(axis)];
  std::vector<int64_t> sizes;
  bool keep = true;
  if (!c.has(1)) {
    sizes.assign(static_cast<size_t>(std::min<int64_t>(extent, max_steps + 1)), 1);
    keep = c.integer("keepdims", 1) != 0;
  } else if (c.rank(1) == 0) {
    const int64_t size = c.integer(1);
    if (size < 1) fail("pieces of {}", size);
    for (int64_t at = 0; at < extent && std::ssize(sizes) <= max_steps; at += size)
      sizes.push_back(std::min(size, extent - at));
  } else {
    sizes = c.integers(1);
  }
  if (std::ssize(sizes) > max_steps) unsupported("more than {} pieces", max_steps);
  std::vector<Value> items;
  int64_t at = 0;
  for (const int64_t size : sizes) {
    if (size < 0 || size > extent - at) fail("pieces {} of {}", to_string(sizes), extent);
    const Var piece = graph::slice(c[0], axis, at, at + size);
    items.push_back({keep ? piece : squeezed(piece, axis), nullptr});
    at += size;
  }
  if (at != extent) fail("pieces {} of {}", to_string(sizes), extent);
  return sequence(std::move(items));
}
std::vector<Value> sequence_map(Call& c) {
  const Graph& body = c.graph("body");
  const size_t count = c.sequence(0).size();
  std::vector<std::vector<Value>> results(body.outputs.size());
  for (size_t i = 0; i < count; ++i) {
    std::vector<Value> inputs;
    for (size_t k = 0; k < c.count(); ++k) {
      const Value& v = c.value(k);
      if (v.items && v.items->size() != count) fail("sequences of {} and {} elements", count, v.items->size());
      inputs.push_back(v.items ? (*v.items)[i] : v);
    }
    const std::vector<Value> out = c.importer().run(body, inputs);
    for (size_t k = 0; k < out.size(); ++k) results[k].push_back(out[k]);
  }
  std::vector<Value> out;
  for (auto& items : results) out.push_back(sequence(std::move(items))[0]);
  return out;
}

std::vector<Value> optional(Call& c) { return c.has(0) ? std::vector<Value>{c.value(0)} : std::vector<Value>{Value{}}; }
std::vector<Value> optional_has(Call& c) { return one(c.constant(c.has(0) ? 1 : 0, DType::boolean)); }
std::vector<Value> optional_get(Call& c) { return {c.value(0)}; }

constexpr Row rows[] = {
    {"ConcatFromSequence", concat_from_sequence},
    {"If", branch},
    {"Loop", loop},
    {"Optional", optional},
    {"OptionalGetElement", optional_get},
    {"OptionalHasElement", optional_has},
    {"Scan", scan},
    {"SequenceAt", sequence_at},
    {"SequenceConstruct", sequence_construct},
    {"SequenceEmpty", [](Call&) { return sequence({}); }},
    {"SequenceErase", sequence_erase},
    {"SequenceInsert", sequence_insert},
    {"SequenceLength", sequence_length},
    {"SequenceMap", sequence_map},
    {"SplitToSequence", split_to_sequence},
};

}  // namespace

std::span<const Row> control_rows() { return rows; }

}  // namespace gmc::onnx
