// Random programs of everything: the f32 core of random_graph.h, and besides any op of the registry in any dtype it
// takes, state that is updated, and loops and conditions whose regions are random again. Valid by construction: an op
// beyond the core gets the operands of one of its samples, made from values around by movement and mapped into the
// sample's interval, and what comes out is brought back below 4 in magnitude.
#pragma once

#include "compiler/graph/core_loop.h"
#include "tests/support/random_graph.h"
#include "tests/support/trial.h"

namespace gmc::tests {

struct Program {
  graph::Graph graph;
  Inputs inputs;  // f32 numbers or whole ones, whatever the dtype
};

class RandomProgram : RandomGraph {
public:
  explicit RandomProgram(uint64_t seed) : RandomProgram(seed, 0) {}

  // About `nodes` nodes after the inputs, all of which reach an output.
  Program make(int nodes) {
    const int64_t a = sizes_[0], b = sizes_[1], c = sizes_[2];
    for (const Shape& shape : {Shape{a, b}, Shape{b, c}, Shape{a, b}, Shape{b}, Shape{a, 1}})
      values_.push_back(fresh({f32, shape}, -1, 1, values_.size() == 1 ? "state" : "data"));
    const Var state = values_[1];
    pick(40) ? grow(nodes) : meet();
    if (pick(2)) g_.add_output({g_.node(state.value).text("name"), shaped(any(), state.shape()).value, true});
    output_unused();
    return {std::move(g_), std::move(inputs_)};
  }

private:
  RandomProgram(uint64_t seed, int depth) : RandomGraph(seed, 1 << 11), depth_(depth), name_(std::to_string(seed)) {}

  void grow(int nodes) {
    const size_t until = g_.nodes().size() + static_cast<size_t>(nodes);
    while (g_.nodes().size() < until) {
      const size_t kind = pick(16);
      if (kind < 6)
        RandomGraph::add();
      else if (kind < 15 || depth_ == 2)
        any_op();
      else
        control();
    }
  }
  // More values in one place than a region may read.
  void meet() {
    Var all = values_[3];
    for (int k = 0; k < 80; ++k) {
      const Var x = fresh(all.type(), -1, 1);
      all = pick(2) ? (all + x) * 0.5 : ops::max(all, -x);
    }
    push(all);
  }
  void output_unused() {
    const auto uses = graph::use_counts(g_);
    int outputs = 0;
    for (const std::vector<Var>* all : {&values_, &others_})
      for (const Var& v : *all) {
        const auto node = static_cast<size_t>(v.value.node);
        const bool given = g_.node(v.value).op->category == graph::Category::input;
        const bool used = uses[node][static_cast<size_t>(v.value.result)] > 0;
        if (!given && (!used || pick(8) == 0)) g_.add_output({fmt::format("y{}", outputs++), v.value, false});
      }
    if (outputs == 0) g_.add_output({"y", (values_.back() * 2.0).value, false});
  }

  // ---- operands ----------------------------------------------------------------------------------------------------

  Var fresh(const graph::TensorType& type, double low, double high, const char* role = "data") {
    const std::string name = fmt::format("x{}", inputs_.size());
    inputs_[name] = random_values(type, name + " of " + name_, low, high);
    return graph::input(g_, name, role, type);
  }

  // The elements of v in another shape: cut, repeated, or padded with zeros.
  Var shaped(Var v, const Shape& shape) {
    if (v.shape() == shape) return v;
    const int64_t want = element_count(shape), have = element_count(v.shape());
    Var flat = graph::reshape(v, {have});
    if (want <= have) {
      const int64_t step = want > 0 && want * 2 <= have && pick(2) ? 2 : 1;
      const bool turned = want > 0 && pick(4) == 0;
      flat = graph::slice(flat, std::vector<int64_t>{turned ? have - 1 : have - want * step}, {turned ? -step : step},
                          {want});
    } else if (pick(3) && v.type().dtype != DType::boolean) {
      const auto front = static_cast<int64_t>(pick(static_cast<size_t>(want - have) + 1));
      flat = graph::pad(flat, {front}, {want - have - front});
    } else {
      const int64_t times = (want + have - 1) / have;
      flat = graph::reshape(graph::broadcast(flat, {times, have}, {1}), {times * have});
      flat = graph::slice(flat, 0, 0, want);
    }
    return graph::reshape(flat, shape);
  }

  Var operand(const graph::TensorType& type, double low, double high) {
    if (depth_ == 0 && (inputs_.size() < 8 || pick(4) == 0)) return fresh(type, low, high);
    if (is_float(type.dtype)) {
      const Var v = shaped(any(), type.shape);
      return graph::cast(ops::sigmoid(v) * (high - low) + low, type.dtype);
    }
    std::vector<Var> like;
    for (const Var& v : others_)
      if (v.type().dtype == type.dtype && element_count(v.shape()) > 0 && is_certain(v.value)) like.push_back(v);
    if (like.empty() || pick(4) == 0) {
      const graph::Reference values = random_values(type, fmt::format("{} of {}", g_.nodes().size(), name_), low, high);
      return graph::literal(g_, values.values, type);
    }
    const Var v = shaped(like[pick(like.size())], type.shape);
    if (type.dtype == DType::boolean) return v;
    const double least = std::floor(low), count = std::max(1.0, std::floor(high) - least);
    return graph::apply(ops::mod_op,
                        {v, graph::broadcast_to(graph::constant(g_, count, {type.dtype, {}}), v.shape())}) +
           least;
  }

  // Whether every backend has this very value: what decides, counts or is an index must be such. It is given, or made
  // of such by movement, or by ops on whole numbers and comparisons.
  bool is_certain(graph::Value v) {
    for (size_t i = certain_.size(); i < g_.nodes().size(); ++i) {
      const graph::Node& n = g_.nodes()[i];
      bool certain = true, whole = true;
      for (graph::Value x : n.inputs) {
        certain &= static_cast<bool>(certain_[static_cast<size_t>(x.node)]);
        whole &= !is_float(g_.type(x).dtype);
      }
      using C = graph::Category;
      const C c = n.op->category;
      const bool moves = c == C::constant || c == C::literal || c == C::index || c == C::broadcast || c == C::reshape ||
                         c == C::transpose || c == C::affine || c == C::gather;
      const bool decides = c == C::elementwise && !is_float(n.types[0].dtype);
      if (c == C::input)
        certain = depth_ == 0 || !is_float(n.types[0].dtype);
      else
        certain &= moves || decides || (whole && c != C::random && !is_float(n.types[0].dtype));
      certain_.push_back(certain);
    }
    return certain_[static_cast<size_t>(v.node)];
  }

  // ---- results -----------------------------------------------------------------------------------------------------

  Var tame(Var v) {
    const Var within = ops::max(ops::min(v, graph::constant(g_, 3.5)), graph::constant(g_, -3.5));
    return pick(2) ? within : v / (graph::apply(ops::abs_op, {v}) + 1.0);
  }
  void keep(Var v) {
    const DType dtype = v.type().dtype;
    if (element_count(v.shape()) == 0 || !is_float(dtype)) return others_.push_back(v);
    const Var narrow = dtype == f32 ? v : graph::cast(v, f32);
    if (dtype != f32) others_.push_back(v);
    push(tame(narrow));
  }

  void any_op() {
    const auto& ops = ops::registry();
    const graph::OpDef& op = *ops[pick(ops.size())];
    if (op.category == graph::Category::composite && pick(3)) return;  // primitives more often
    const std::vector<graph::Sample> samples = samples_of(op);
    if (samples.empty()) return;
    graph::Sample sample = samples[pick(samples.size())];
    constexpr DType dtypes[] = {f64, bf16, f16, i32, i64, i8, u8, boolean};
    if (pick(2) == 0) {
      const auto other = with_dtype(op, sample, dtypes[pick(8)]);
      if (other && is_accepted(op, *other)) sample = *other;
    }
    // Factorisations get matrices of random numbers, which are not singular.
    const bool given = is_factorisation(op);
    if (given && depth_ > 0) return;
    if (sample.attributes.count("stream")) sample.attributes["stream"] = static_cast<int64_t>(random_() >> 16);
    std::vector<graph::Value> operands;
    for (const graph::TensorType& type : sample.inputs) {
      if (element_count(type.shape) > most_) return;
      operands.push_back((given ? fresh(type, sample.low, sample.high) : operand(type, sample.low, sample.high)).value);
    }
    const graph::Value first = g_.add(op, operands, sample.attributes);
    for (size_t r = 0; r < g_.node(first).types.size(); ++r) keep({&g_, {first.node, static_cast<int32_t>(r)}});
  }

  // ---- regions -----------------------------------------------------------------------------------------------------

  Var small() {
    const Var v = any();
    return element_count(v.shape()) <= 256 ? v : shaped(v, {static_cast<int64_t>(1 + pick(40))});
  }
  std::vector<graph::TensorType> types_of(const std::vector<Var>& values) {
    std::vector<graph::TensorType> out;
    for (const Var& v : values) out.push_back(v.type());
    return out;
  }

  // A region on these arguments that gives one value of each type of `results`, and `more` values of any.
  graph::Region region(const std::vector<graph::TensorType>& arguments, const std::vector<graph::TensorType>& results,
                       size_t more) {
    RandomProgram inner(random_(), depth_ + 1);
    inner.g_ = graph::Graph("body");
    std::copy(sizes_, sizes_ + 3, inner.sizes_);
    for (const graph::TensorType& type : arguments) {
      const Var v = graph::argument(inner.g_, fmt::format("a{}", inner.g_.nodes().size()), type);
      (type.dtype == f32 ? inner.values_ : inner.others_).push_back(v);
    }
    if (inner.values_.empty()) inner.values_.push_back(graph::constant(inner.g_, 0.5, {f32, {3}}));
    inner.grow(2 + static_cast<int>(pick(8)));
    int outputs = 0;
    for (const graph::TensorType& type : results)
      inner.g_.add_output({fmt::format("r{}", outputs++), inner.result(type).value, false});
    for (size_t k = 0; k < more; ++k) inner.g_.add_output({fmt::format("r{}", outputs++), inner.any().value, false});
    return std::make_shared<const graph::Graph>(std::move(inner.g_));
  }
  Var result(const graph::TensorType& type) {
    if (type.dtype == f32) return shaped(tame(any()), type.shape) * 0.75;
    return operand(type, 0, 7);
  }

  void control() {
    std::vector<Var> captured;
    for (size_t k = pick(3); k-- > 0;) captured.push_back(small());
    if (pick(2)) captured.push_back(operand({i32, {static_cast<int64_t>(pick(5))}}, 0, 5));
    if (pick(4) == 0) return condition(captured);
    const auto trips = static_cast<int64_t>(pick(5));
    std::vector<Var> carries{small()}, inputs;
    if (pick(2)) carries.push_back(small());
    if (pick(3) == 0) carries.push_back(operand({i32, {}}, 0, 7));
    std::vector<graph::TensorType> arguments{{pick(2) ? i32 : i64, {}}};
    const auto carried = types_of(carries);
    arguments.insert(arguments.end(), carried.begin(), carried.end());
    const bool until = pick(3) == 0;
    for (size_t k = until ? 0 : pick(3); k-- > 0;) {
      Shape shape{static_cast<int64_t>(1 + pick(17))};
      arguments.push_back({f32, shape});
      shape.insert(shape.begin(), trips);
      inputs.push_back(trips == 0 ? graph::constant(g_, 0, {f32, shape}) : shaped(any(), shape));
    }
    for (const Var& v : captured) arguments.push_back(v.type());
    const std::vector<Var> results =
        until ? graph::while_loop(g_, limit(arguments, trips), region(arguments, carried, 0),
                                  pick(2) ? -1 : static_cast<int64_t>(pick(4)), carries, captured)
              : graph::scan(g_, region(arguments, carried, inputs.empty() ? pick(2) : pick(3)), trips, carries, inputs,
                            captured, pick(2));
    for (const Var& v : results) keep(v);
  }
  void condition(const std::vector<Var>& captured) {
    const Var predicate = pick(2) && depth_ == 0
                              ? fresh({DType::boolean, {}}, 0, 1)
                              : graph::less(operand({i32, {}}, 0, 7), graph::constant(g_, 3, {i32, {}}));
    const std::vector<graph::TensorType> results{small().type(), small().type()};
    for (const Var& v : graph::cond(predicate, region(types_of(captured), results, 0),
                                    region(types_of(captured), results, 0), captured))
      keep(v);
  }
  // Another trip while the index is below `trips`.
  static graph::Region limit(const std::vector<graph::TensorType>& arguments, int64_t trips) {
    graph::Graph g("again");
    Var index;
    for (const graph::TensorType& type : arguments) {
      const Var v = graph::argument(g, fmt::format("a{}", g.nodes().size()), type);
      if (!index.valid()) index = v;
    }
    const Var again = graph::less(index, graph::constant(g, static_cast<double>(trips), index.type()));
    g.add_output({"again", again.value, false});
    return std::make_shared<const graph::Graph>(std::move(g));
  }

  int depth_;
  std::string name_;
  Inputs inputs_;
  std::vector<Var> others_;    // of dtypes other than f32, and without elements
  std::vector<bool> certain_;  // per node, as far as asked
};

inline Program random_program(uint64_t seed, int nodes) { return RandomProgram(seed).make(nodes); }

}  // namespace gmc::tests
