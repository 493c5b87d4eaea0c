// Evaluates lowered kernels in f64, point by point, straight from the definition of the kernel IR: what lowering means,
// without a code generator.
#pragma once

#include "compiler/graph/core_rules.h"
#include "compiler/graph/interpret.h"
#include "compiler/lower/lower.h"
#include "ops/registry.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace gmc::tests {

class KernelRunner {
public:
  KernelRunner(const lower::Step& step, std::map<graph::Value, graph::Reference>& memory) : step_(step) {
    for (size_t p = 0; p < step.values.size(); ++p) {
      const kernel::Parameter& parameter = step.kernel.parameters[p];
      if (parameter.mode == kernel::Parameter::Mode::in)
        buffers_.push_back(memory.at(step.values[p]).values);
      else
        buffers_.emplace_back(static_cast<size_t>(parameter.elements), unwritten);
    }
    for (const kernel::Phase& phase : step.kernel.phases)
      for (const kernel::Region& region : phase.regions) run(region);
    for (size_t p = 0; p < step.values.size(); ++p)
      if (step.kernel.parameters[p].mode == kernel::Parameter::Mode::out)
        memory[step.values[p]] = {{static_cast<int64_t>(buffers_[p].size())}, buffers_[p]};
  }

private:
  using Kind = kernel::Instruction::Kind;
  static constexpr double unwritten = std::numeric_limits<double>::quiet_NaN();

  static double combine(const std::string& monoid, double a, double b) {
    if (monoid == "sum") return a + b;
    if (monoid == "prod") return a * b;
    return monoid == "max" ? std::fmax(a, b) : std::fmin(a, b);
  }
  static double identity(const std::string& monoid) {
    const double inf = std::numeric_limits<double>::infinity();
    return monoid == "sum" ? 0 : monoid == "prod" ? 1 : monoid == "max" ? -inf : inf;
  }
  double compute(const kernel::Instruction& in, const std::vector<double>& x) const {
    const DType from = region_->body[static_cast<size_t>(in.operands.back())].dtype;
    for (const graph::OpDef* op : ops::registry())
      if (op->name == in.function && op->scalar) return graph::to_dtype(in.dtype, from, op->scalar(x.data()));
    return x[0];  // copies
  }
  bool holds(const kernel::Instruction& in) const {
    for (const kernel::Guard& g : in.guards)
      if (const int64_t at = address(g.at); at < 0 || at >= g.extent) return false;
    return true;
  }
  int64_t subscripted(const kernel::Instruction& in) {
    int64_t at = address(in.access);
    for (size_t k = 0; k < in.operands.size(); ++k) {
      const auto wanted = static_cast<int64_t>(value(in.operands[k]));
      at += std::clamp<int64_t>(wanted, 0, in.subscripts[k].extent - 1) * in.subscripts[k].stride;
    }
    return at;
  }

  double& element(int parameter, int64_t at) {
    return buffers_.at(static_cast<size_t>(parameter)).at(static_cast<size_t>(at));
  }

  void run(const kernel::Region& region) {
    region_ = &region;
    spans_ = kernel::spans_of(region);
    const int64_t rows = kernel::rows_of(region), columns = kernel::columns_of(region);
    const int64_t tile_rows = region.product ? rows : region.tile_rows;
    const int64_t tile_columns = region.product ? columns : region.tile_columns;
    for (int64_t first_row = 0; first_row < std::max<int64_t>(1, rows); first_row += tile_rows)
      for (int64_t first_column = 0; first_column < std::max<int64_t>(1, columns); first_column += tile_columns) {
        start_folds(first_row / tile_rows, first_column, std::min(columns, first_column + tile_columns));
        for (row_ = first_row; row_ < std::min(rows, first_row + tile_rows); ++row_) {
          row_values_.clear();
          const int64_t end = std::min(columns, first_column + tile_columns);
          // What does not vary along the columns is stored even if there are none.
          for (column_ = first_column; column_ < std::max(end, first_column + 1); ++column_) {
            point_.clear();
            for (size_t i = 0; i < region.body.size(); ++i)
              if (spans_[i] != kernel::Span::full || column_ < end)
                effect(i, first_row / tile_rows, column_ == first_column);
          }
        }
      }
  }

  void start_folds(int64_t block, int64_t first_column, int64_t end) {
    for (size_t i = 0; i < region_->body.size(); ++i) {
      const kernel::Instruction& in = region_->body[i];
      if (in.kind != Kind::fold) continue;
      if (spans_[i] != kernel::Span::full) {
        element(in.parameter, block) = identity(in.function);
        continue;
      }
      for (int64_t column = first_column; column < end; ++column)
        element(in.parameter, block * kernel::columns_of(*region_) + column) = identity(in.function);
    }
  }

  void effect(size_t i, int64_t block, bool first_column) {
    const kernel::Instruction& in = region_->body[i];
    for (size_t k = 0; k < in.operands.size() && in.kind == Kind::store; ++k)
      element(in.parameter, address(in.access) + static_cast<int64_t>(k)) = value(in.operands[k]);
    if (in.kind != Kind::fold) return;
    const bool full = spans_[i] == kernel::Span::full;
    if (!full && !first_column) return;
    const int64_t at = full ? block * kernel::columns_of(*region_) + column_ : block;
    double& sum = element(in.parameter, at);
    sum = combine(in.function, sum, value(in.operands[0]));
  }

  int64_t address(const kernel::Access& a) const {
    int64_t at = a.base + a.strides.back() * column_, left = row_;
    for (size_t d = region_->extents.size() - 1; d-- > 0;) {
      at += left % region_->extents[d] * a.strides[d];
      left /= region_->extents[d];
    }
    return at;
  }

  double value(int i) {
    const kernel::Instruction& in = region_->body[static_cast<size_t>(i)];
    auto& known = in.kind == Kind::row ? row_values_ : point_;
    if (auto it = known.find(i); it != known.end()) return it->second;
    double v = in.value;
    if (!holds(in)) return known[i] = in.outside;
    if (in.kind == Kind::load) v = element(in.parameter, address(in.access));
    if (in.kind == Kind::gather) v = element(in.parameter, subscripted(in));
    if (in.kind == Kind::index) v = static_cast<double>(address(in.access));
    if (in.kind == Kind::product) v = product(*region_->product);
    if (in.kind == Kind::row) v = over_row(in);
    if (in.kind == Kind::compute) {
      std::vector<double> operands;
      for (int operand : in.operands) operands.push_back(value(operand));
      v = compute(in, operands);
    }
    return known[i] = v;
  }
  double over_row(const kernel::Instruction& in) {
    const int64_t column = column_;
    const auto point = point_;
    double sum = identity(in.function);
    for (column_ = 0; column_ < kernel::columns_of(*region_); ++column_) {
      point_.clear();
      sum = combine(in.function, sum, value(in.operands[0]));
    }
    column_ = column;
    point_ = point;
    return sum;
  }
  double product(const kernel::Product& p) {
    double sum = 0;
    const size_t batches = region_->extents.size() - 2;
    int64_t a = p.at_a.base, b = p.at_b.base, left = row_ / region_->extents[batches];
    const int64_t row = row_ % region_->extents[batches];
    for (size_t d = batches; d-- > 0; left /= region_->extents[d]) {
      a += left % region_->extents[d] * p.at_a.strides[d];
      b += left % region_->extents[d] * p.at_b.strides[d];
    }
    const auto along = [](const kernel::Axes& axes, int64_t i) {
      int64_t at = 0;
      for (size_t d = axes.extents.size(); d-- > 0; i /= axes.extents[d]) at += i % axes.extents[d] * axes.strides[d];
      return at;
    };
    for (int64_t l = 0; l < p.k && p.unfolded; ++l)
      sum += element(p.a, a + (p.transpose_a ? l * p.lda + row : row * p.lda + l)) *
             element(p.b, b + along(p.unfolded->k, l) + along(p.unfolded->n, column_));
    for (int64_t l = 0; l < p.k && !p.unfolded; ++l)
      sum += element(p.a, a + (p.transpose_a ? l * p.lda + row : row * p.lda + l)) *
             element(p.b, b + (p.transpose_b ? column_ * p.ldb + l : l * p.ldb + column_));
    return sum;
  }

  const lower::Step& step_;
  std::vector<std::vector<double>> buffers_;
  const kernel::Region* region_ = nullptr;
  std::vector<kernel::Span> spans_;
  int64_t row_ = 0, column_ = 0;
  std::map<int, double> row_values_, point_;
};

// A call of the runtime means what its op does.
inline void call_routine(const graph::Graph& g, const lower::Step& step,
                         std::map<graph::Value, graph::Reference>& memory) {
  const int32_t id = step.values.back().node;
  const graph::Node& node = g.node(step.values.back());
  std::vector<graph::Reference> operands;
  std::vector<const graph::Reference*> pointers;
  std::vector<graph::TensorType> types;
  for (size_t k = 0; k < node.inputs.size(); ++k) {
    types.push_back(g.type(node.inputs[k]));
    operands.push_back({types.back().shape, memory.at(step.values[k]).values});
  }
  for (graph::Reference& r : operands) {
    r.values.resize(static_cast<size_t>(element_count(r.shape)));
    pointers.push_back(&r);
  }
  const std::vector<graph::Reference> results = graph::interpret_node({node, pointers, types, 0, 0});
  for (size_t r = 0; r < results.size(); ++r) memory[{id, static_cast<int32_t>(r)}] = results[r];
}

// The largest difference between the outputs of a lowered graph and those of the interpreter; infinite where an element
// was never written. Library products are not run: plan without.
inline double lowering_error(const graph::Graph& g, const std::vector<lower::Step>& steps,
                             const std::map<std::string, graph::Reference>& inputs) {
  std::map<graph::Value, graph::Reference> memory;
  for (size_t i = 0; i < g.nodes().size(); ++i) {
    const graph::Node& n = g.nodes()[i];
    const graph::Value v{static_cast<int32_t>(i), 0};
    if (n.op->category == graph::Category::input) memory[v] = inputs.at(n.text("name"));
    if (n.op->category == graph::Category::literal) memory[v] = {n.types[0].shape, n.numbers("values")};
    if (n.op->category == graph::Category::constant)
      memory[v] = {n.types[0].shape,
                   std::vector<double>(static_cast<size_t>(element_count(n.types[0].shape)), n.number("value"))};
    if (n.op->category == graph::Category::literal) memory[v] = {n.types[0].shape, n.numbers("values")};
  }
  for (const lower::Step& step : steps) {
    if (step.routine.symbol)
      call_routine(g, step, memory);
    else
      KernelRunner(step, memory);
  }
  const auto expected = graph::interpret(g, inputs);
  double worst = 0;
  for (const graph::Output& o : g.outputs()) {
    const auto& want = o.is_state ? expected.updates.at(o.name) : expected.outputs.at(o.name);
    const auto& got = memory.at(o.value).values;
    if (got.size() != want.values.size()) return std::numeric_limits<double>::infinity();
    for (size_t i = 0; i < got.size(); ++i) {
      const double error = std::fabs(got[i] - want.values[i]);
      worst = std::isfinite(error) ? std::max(worst, error) : std::numeric_limits<double>::infinity();
    }
  }
  return worst;
}

}  // namespace gmc::tests
