#include "compiler/lower/lower.h"

#include "compiler/fusion/legality.h"
#include "compiler/fusion/unfolded.h"
#include "compiler/graph/indexing.h"
#include "compiler/lower/tile.h"
#include "runtime/base/error.h"

#include <algorithm>
#include <map>

namespace gmc::lower {
namespace {

using fusion::Binding;
using fusion::Category;
using fusion::Op;
using fusion::View;
using graph::Value;
using kernel::Instruction;
using kernel::Parameter;
using Kind = Instruction::Kind;

// What a reduction leaves for the next phase: partial results to be combined.
struct Partial {
  std::string monoid;
  DType dtype;
  int partial, result;  // parameters
  int64_t columns;
  int64_t blocks;  // how many
};

class KernelBuilder {
public:
  KernelBuilder(const View& view, const fusion::PlanKernel& plan) : view_(view) {
    const std::string first =
        plan.regions.empty() || plan.regions[0].empty() ? "empty" : view.node(plan.regions[0].front()).name;
    step_.kernel.name = plan.id + "." + first;
    step_.library = plan.library;
    for (const auto& region : plan.regions)
      // To move an element takes as long as to add to it.
      for (int op : region) step_.work += std::max(fusion::flops(view, op), static_cast<double>(view.elements(op)));
  }

  Step build(const fusion::PlanKernel& plan) {
    if (plan.library == fusion::runtime_library || plan.library == fusion::control_library) return whole(plan);
    if (!plan.library.empty()) return library_call(plan);
    step_.kernel.phases.emplace_back();
    for (const auto& ops : plan.regions) add_region(ops);
    combine_partials();
    kernel::verify(step_.kernel);
    return std::move(step_);
  }

private:
  int parameter(Value v, Parameter::Mode mode) {
    auto [it, inserted] = parameters_.try_emplace({v, mode}, static_cast<int>(step_.values.size()));
    if (inserted) add_parameter(v, mode, view_.graph().type(v), view_.graph().node(v).name);
    return it->second;
  }
  void add_parameter(Value v, Parameter::Mode mode, const graph::TensorType& type, const std::string& name) {
    step_.kernel.parameters.push_back({mode, type.dtype, element_count(type.shape), name});
    step_.values.push_back(v);
  }
  int temporary(int64_t elements, DType dtype, const char* name) {
    add_parameter({}, Parameter::Mode::temporary, {dtype, {elements}}, name);
    return static_cast<int>(step_.values.size()) - 1;
  }

  void add_region(const std::vector<int>& ops) {
    const std::vector<bool> stored = fusion::stored_ops(view_, ops);
    auto bound = fusion::bind_region(view_, ops, stored);
    if (auto* refusal = std::get_if<fusion::Refusal>(&bound))
      fail("kernel '{}' breaks {}: {}", step_.kernel.name, refusal->rule, refusal->witness);
    const Binding binding = std::get<Binding>(bound);
    kernel::Region region;
    region.extents = binding.domain;
    Region r{ops, stored, binding, region, {}, {}};
    for (size_t i = 0; i < ops.size(); ++i) add_op(r, i);
    if (r.out.product) {
      collapse_batches(r.out);
    } else {
      collapse_axes(r.out);
      if (choose_columns(r.out)) {
        pair_up(r.out);
        collapse_axes(r.out);
      }
      choose_tiles(r.out);
    }
    for (size_t i = 0; i < r.out.body.size(); ++i) finish_fold(r.out, i);
    step_.kernel.phases[0].regions.push_back(std::move(r.out));
  }

  struct Region {
    const std::vector<int>& ops;
    const std::vector<bool>& stored;
    const Binding& binding;
    kernel::Region out;
    std::map<int, int> value_of;  // op -> instruction
    std::map<std::pair<int, std::vector<int64_t>>, int> loads;
  };

  static int emit(Region& r, Instruction in) {
    r.out.body.push_back(std::move(in));
    return static_cast<int>(r.out.body.size()) - 1;
  }

  // An access over an op's index space, over the axes of the region instead.
  static kernel::Access over_axes(const Region& r, const std::vector<int>& axes, int64_t base, const Shape& strides) {
    kernel::Access out{base, Shape(r.binding.domain.size(), 0)};
    for (size_t d = 0; d < axes.size(); ++d)
      if (axes[d] >= 0) out.strides[static_cast<size_t>(axes[d])] += strides[d];
    return out;
  }

  int operand(Region& r, size_t position, const fusion::Access& access) {
    if (auto it = r.value_of.find(view_.op_of(access.source)); it != r.value_of.end()) return it->second;
    const std::vector<int>& axes = r.binding.axes[position];
    const graph::Node& source = view_.graph().node(access.source);
    Instruction in{.access = over_axes(r, axes, access.base, access.strides),
                   .outside = access.outside,
                   .dtype = view_.graph().type(access.source).dtype};
    for (const fusion::Guard& g : access.guards) in.guards.push_back({over_axes(r, axes, g.base, g.strides), g.extent});
    if (!view_.is_free(access.source)) {
      in.kind = Kind::load;
      in.parameter = parameter(access.source, Parameter::Mode::in);
    } else if (source.op->category == Category::index) {
      in.kind = Kind::index;
    } else {
      in.kind = Kind::constant;
      in.access = {};
      in.value = source.number("value");
    }
    if (in.kind != Kind::load || !in.guards.empty()) return emit(r, std::move(in));
    std::vector<int64_t> key = in.access.strides;
    key.push_back(in.access.base);
    auto [it, inserted] = r.loads.try_emplace({in.parameter, key}, 0);
    if (inserted) it->second = emit(r, std::move(in));
    return it->second;
  }

  static int emit_constant(Region& r, const graph::Node& node) {
    return emit(r, {.kind = Kind::constant, .value = node.number("value"), .dtype = node.types[0].dtype});
  }

  int add_gather(Region& r, size_t i, const Op& o, const graph::Node& node) {
    const fusion::Access& from = o.operands[0];
    const Shape& axes = node.integers("axes");
    const Shape whole = view_.graph().type(node.inputs[0]).shape;
    Shape strides(o.index_space.size(), 0);
    std::vector<kernel::Subscript> subscripts;
    for (size_t d = 0; d < whole.size(); ++d) {
      if (std::count(axes.begin(), axes.end(), static_cast<int64_t>(d)) > 0)
        subscripts.push_back({whole[d], from.strides[d]});
      else
        strides[static_cast<size_t>(node.integers("dims")[d])] += from.strides[d];
    }
    std::vector<int> indices;
    for (size_t k = 1; k < o.operands.size(); ++k) indices.push_back(operand(r, i, o.operands[k]));
    return emit(r, {.kind = Kind::gather,
                    .operands = std::move(indices),
                    .parameter = parameter(from.source, Parameter::Mode::in),
                    .access = over_axes(r, r.binding.axes[i], from.base, strides),
                    .subscripts = std::move(subscripts),
                    .dtype = node.types[0].dtype});
  }

  void add_op(Region& r, size_t i) {
    const int op = r.ops[i];
    const Op& o = view_.ops()[static_cast<size_t>(op)];
    const graph::Node& node = view_.node(op);
    int value = -1;
    if (o.category == Category::matmul) {
      value = add_product(r, o, node);
    } else if (o.category == Category::random) {
      const kernel::Access at = over_axes(r, r.binding.axes[i], 0, graph::dense_strides(o.index_space));
      value = emit(r, {.kind = Kind::random,
                       .function = node.text("distribution"),
                       .access = at,
                       .stream = static_cast<uint64_t>(node.integer("stream"))});
    } else if (o.category == Category::gather) {
      value = add_gather(r, i, o, node);
    } else if (o.is_copy && node.op->category == Category::constant) {
      value = emit_constant(r, node);
    } else if (o.is_copy && node.op->category == Category::index) {
      Shape along(o.index_space.size(), 0);
      along[static_cast<size_t>(node.integer("axis"))] = 1;
      value = emit(
          r, {.kind = Kind::index, .access = over_axes(r, r.binding.axes[i], 0, along), .dtype = node.types[0].dtype});
    } else {
      std::vector<int> operands;
      for (const fusion::Access& a : o.operands) operands.push_back(operand(r, i, a));
      if (o.category == Category::reduce) return add_reduction(r, i, operands[0]);
      value = o.is_copy ? operands[0] : add_compute(r, node, operands);
    }
    r.value_of[op] = value;
    if (r.stored[i]) add_store(r, i, value);
  }

  static int add_compute(Region& r, const graph::Node& node, std::vector<int> operands) {
    const DType to = node.types[0].dtype;
    std::string function = node.op->name;
    if (!kernel::function_named(function)) fail("'{}': generated code has no function '{}'", node.name, function);
    return emit(r,
                {.kind = Kind::compute, .function = std::move(function), .operands = std::move(operands), .dtype = to});
  }

  void add_store(Region& r, size_t i, int value) {
    const std::vector<int> axes = fusion::result_axes(view_, r.ops[i], r.binding.axes[i]);
    const graph::TensorType& type = view_.type(r.ops[i]);
    const int p = parameter({view_.ops()[static_cast<size_t>(r.ops[i])].node, 0}, Parameter::Mode::out);
    emit(r, {.kind = Kind::store,
             .operands = {value},
             .parameter = p,
             .access = over_axes(r, axes, 0, graph::dense_strides(type.shape)),
             .dtype = type.dtype});
  }

  void add_reduction(Region& r, size_t i, int value) {
    const int op = r.ops[i];
    const graph::Node& node = view_.node(op);
    const std::string& monoid = node.text("monoid");
    const auto& axes = node.integers("axes");
    const bool reduces = std::any_of(axes.begin(), axes.end(),
                                     [&](int64_t d) { return r.binding.axes[i][static_cast<size_t>(d)] >= 0; });
    const fusion::ReductionKind kind = fusion::reduction_kind(view_, r.binding, r.ops, i);
    if (reduces && kind != fusion::ReductionKind::rows)
      value = emit(r, {.kind = Kind::row, .function = monoid, .operands = {value}, .dtype = node.types[0].dtype});
    if (!reduces || kind == fusion::ReductionKind::row) {
      r.value_of[op] = value;
      if (r.stored[i]) add_store(r, i, value);
      return;
    }
    const int p = parameter({view_.ops()[static_cast<size_t>(op)].node, 0}, Parameter::Mode::out);
    // The result may vary along the columns where the operand does not: rows of a broadcast value.
    kernel::Access to{0, Shape(r.binding.domain.size(), 0)};
    const std::vector<int> along = fusion::result_axes(view_, op, r.binding.axes[i]);
    const int columns = static_cast<int>(r.binding.domain.size()) - 1;
    to.strides.back() = std::count(along.begin(), along.end(), columns) > 0 ? 1 : 0;
    emit(r, {.kind = Kind::fold,
             .function = monoid,
             .operands = {value},
             .parameter = p,
             .access = to,
             .dtype = node.types[0].dtype});
  }

  int add_product(Region& r, const Op& o, const graph::Node& node) {
    if (node.types[0].dtype != DType::f32)
      fail("'{}' has dtype {}: generated products are f32", node.name, name_of(node.types[0].dtype));
    kernel::Product p;
    const fusion::Access &a = o.operands[0], &b = o.operands[1];
    const Shape &x = view_.graph().type(node.inputs[0]).shape, &c = o.index_space;
    const size_t batches = c.size() - 2;
    p.k = x[node.flag("transpose_a") ? batches : batches + 1];
    // A sum of nothing is zero: no product, but whatever comes after it.
    if (p.k == 0 || element_count(c) == 0) return emit(r, {.kind = Kind::constant, .dtype = node.types[0].dtype});
    p.a = parameter(a.source, Parameter::Mode::in);
    p.b = parameter(b.source, Parameter::Mode::in);
    auto at = [&](const fusion::Access& operand, int64_t rows, int64_t columns) {
      const kernel::Access first{operand.base, Shape(operand.strides.begin(), operand.strides.end() - 2)};
      const auto layout = fusion::matrix_layout(operand, rows, columns);
      return std::tuple{layout->transposed, layout->leading, first};
    };
    std::tie(p.transpose_a, p.lda, p.at_a) = at(a, c[batches], p.k);
    if (b.axes.empty()) {
      std::tie(p.transpose_b, p.ldb, p.at_b) = at(b, p.k, c[batches + 1]);
    } else {
      const auto axes = [&](const fusion::Axes& of) {
        const fusion::Axes merged = fusion::merged(of);
        return merged.extents.empty() ? kernel::Axes{{1}, {0}} : kernel::Axes{merged.extents, merged.strides};
      };
      p.ldb = 1;
      p.at_b = {b.base, Shape(b.strides.begin(), b.strides.end() - 2)};
      p.unfolded = {axes(b.axes.end()[-2]), axes(b.axes.end()[-1])};
    }
    r.out.product = p;
    return emit(r, {.kind = Kind::product});
  }

  // A fold whose tiles cut the rows leaves partial results; otherwise it writes the result.
  void finish_fold(kernel::Region& region, size_t i) {
    Instruction& in = region.body[i];
    if (in.kind != Kind::fold) return;
    const int64_t blocks = (kernel::rows_of(region) + region.tile_rows - 1) / region.tile_rows;
    if (blocks <= 1) return;
    const bool full = kernel::spans_of(region)[i] == kernel::Span::full;
    const int64_t columns = full ? kernel::columns_of(region) : 1;
    const int result = in.parameter;
    const int partial = temporary(blocks * columns, in.dtype, "partial results");
    in.parameter = partial;
    partials_.push_back({in.function, in.dtype, partial, result, columns, blocks});
  }

  void combine_partials() {
    if (partials_.empty()) return;
    kernel::Phase phase;
    for (const Partial& p : partials_) {
      const int64_t blocks = p.blocks;
      kernel::Region region;
      if (p.columns == 1) {
        region.extents = {1, blocks};
        region.tile_columns = blocks;
        region.body = {{.kind = Kind::load, .parameter = p.partial, .access = {0, {0, 1}}},
                       {.kind = Kind::row, .function = p.monoid, .operands = {0}},
                       {.kind = Kind::store, .operands = {1}, .parameter = p.result, .access = {0, {0, 0}}}};
      } else {
        region.extents = {blocks, p.columns};
        region.tile_rows = blocks;
        region.tile_columns = std::min<int64_t>(p.columns, 1024);
        region.body = {
            {.kind = Kind::load, .parameter = p.partial, .access = {0, {p.columns, 1}}},
            {.kind = Kind::fold, .function = p.monoid, .operands = {0}, .parameter = p.result, .access = {0, {0, 1}}}};
      }
      for (Instruction& in : region.body) in.dtype = p.dtype;
      phase.regions.push_back(std::move(region));
    }
    step_.kernel.phases.push_back(std::move(phase));
  }

  Step library_call(const fusion::PlanKernel& plan) {
    if (plan.regions.size() != 1 || plan.regions[0].size() != 1)
      fail("kernel '{}': a library call holds one op", plan.id);
    kernel::Region scratch;
    Region r{plan.regions[0], {}, {}, scratch, {}, {}};
    const int op = plan.regions[0][0];
    const Op& o = view_.ops()[static_cast<size_t>(op)];
    if (plan.library != "onednn" || o.category != Category::matmul)
      fail("kernel '{}': library '{}' has no '{}'", plan.id, plan.library, view_.node(op).op->name);
    add_product(r, o, view_.node(op));
    if (!r.out.product || !r.out.product->at_a.strides.empty())
      fail("kernel '{}': library '{}' takes no batches of products and no empty ones", plan.id, plan.library);
    const kernel::Product& p = *r.out.product;
    const int64_t m = o.index_space[0], n = o.index_space[1];
    const bool dense = !p.unfolded && p.lda == (p.transpose_a ? m : p.k) && p.ldb == (p.transpose_b ? p.k : n) &&
                       p.at_a.base == 0 && p.at_b.base == 0;
    if (!dense) fail("kernel '{}': library '{}' takes dense operands", plan.id, plan.library);
    parameter({o.node, 0}, Parameter::Mode::out);
    // Operand order of execute::MatmulCall: A, B, C; A and B may be one value.
    const Value c{o.node, 0};
    step_.values = {o.operands[0].source, o.operands[1].source, c};
    step_.kernel.parameters.clear();
    for (Value v : step_.values)
      step_.kernel.parameters.push_back({v == c ? Parameter::Mode::out : Parameter::Mode::in, DType::f32,
                                         element_count(view_.graph().type(v).shape), view_.graph().node(v).name});
    step_.product = {m, n, p.k, p.transpose_a, p.transpose_b};
    return std::move(step_);
  }

  // Operands and results in the order of the op.
  Step whole(const fusion::PlanKernel& plan) {
    const int op = plan.regions.at(0).at(0);
    const Op& o = view_.ops()[static_cast<size_t>(op)];
    const graph::Node& node = view_.node(op);
    if (fusion::library_of(o.category) != plan.library)
      fail("kernel '{}': library '{}' has no '{}'", plan.id, plan.library, node.op->name);
    auto add = [&](Value v, Parameter::Mode mode) {
      const graph::TensorType& type = view_.graph().type(v);
      step_.kernel.parameters.push_back({mode, type.dtype, element_count(type.shape), view_.graph().node(v).name});
      step_.values.push_back(v);
    };
    std::vector<graph::TensorType> types;
    for (Value v : node.inputs) types.push_back(view_.graph().type(v));
    for (const fusion::Access& a : o.operands) add(a.source, Parameter::Mode::in);
    for (size_t r = 0; r < node.types.size(); ++r) add({o.node, static_cast<int32_t>(r)}, Parameter::Mode::out);
    if (graph::is_control(o.category))
      step_.control = o.node;
    else
      step_.routine = node.op->routine(node, types);
    return std::move(step_);
  }

  const View& view_;
  Step step_;
  std::map<std::pair<Value, Parameter::Mode>, int> parameters_;
  std::vector<Partial> partials_;
};

}  // namespace

std::vector<Step> lower(const View& view, const fusion::Plan& plan) {
  std::vector<Step> steps;
  for (const fusion::PlanKernel& kernel : plan.kernels) steps.push_back(KernelBuilder(view, kernel).build(kernel));
  return steps;
}

}  // namespace gmc::lower
