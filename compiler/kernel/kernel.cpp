#include "compiler/kernel/kernel.h"

#include "runtime/base/error.h"

#include <algorithm>

namespace gmc::kernel {

int64_t rows_of(const Region& r) {
  int64_t rows = 1;
  for (size_t i = 0; i + 1 < r.extents.size(); ++i) rows *= r.extents[i];
  return rows;
}

int64_t columns_of(const Region& r) { return r.extents.back(); }

int64_t tiles_of(const Region& r) {
  auto blocks = [](int64_t extent, int64_t tile) { return std::max<int64_t>(1, extent / tile + (extent % tile != 0)); };
  return blocks(rows_of(r), r.tile_rows) * blocks(columns_of(r), r.tile_columns);
}

bool has_access(const Instruction& in) {
  using Kind = Instruction::Kind;
  switch (in.kind) {
  case Kind::load:
  case Kind::gather:
  case Kind::index:
  case Kind::random:
  case Kind::store:
  case Kind::fold:
    return true;
  default:
    return false;
  }
}

std::vector<Span> spans_of(const Region& r) {
  std::vector<Span> spans;
  auto along = [&](const Access& a) {
    if (a.strides.back() != 0 && r.extents.back() != 1) return Span::full;
    for (size_t i = 0; i + 1 < a.strides.size(); ++i)
      if (a.strides[i] != 0 && r.extents[i] != 1) return Span::row;
    return Span::scalar;
  };
  using Kind = Instruction::Kind;
  for (const Instruction& i : r.body) {
    Span span = Span::scalar;
    for (int operand : i.operands) span = std::max(span, spans[static_cast<size_t>(operand)]);
    if (i.kind == Kind::load || i.kind == Kind::random || i.kind == Kind::gather || i.kind == Kind::index)
      span = std::max(span, along(i.access));
    for (const Guard& guard : i.guards) span = std::max(span, along(guard.at));
    if (i.kind == Kind::product) span = Span::full;
    if (i.kind == Kind::row) span = std::min(span, Span::row);
    if (i.kind == Kind::store || i.kind == Kind::fold) span = std::max(span, along(i.access));
    spans.push_back(span);
  }
  return spans;
}

const Function* function_named(std::string_view name) {
  static constexpr Function functions[] = {
      {"add", 2, 1},     {"sub", 2, 1},        {"mul", 2, 1},     {"div", 2, 4},        {"neg", 1, 1},
      {"abs", 1, 1},     {"sign", 1, 2},       {"max", 2, 2},     {"min", 2, 2},        {"less", 2, 1},
      {"equal", 2, 1},   {"select", 3, 1},     {"cast", 1, 1},    {"copy", 1, 0},       {"exp", 1, 12},
      {"log", 1, 14},    {"log1p", 1, 16},     {"expm1", 1, 14},  {"tanh", 1, 16},      {"sigmoid", 1, 18},
      {"sqrt", 1, 6},    {"rsqrt", 1, 8},      {"erf", 1, 16},    {"softplus", 1, 30},  {"silu", 1, 20},
      {"gelu", 1, 20},   {"gelu_tanh", 1, 24}, {"pow", 2, 40},    {"exp2", 1, 12},      {"log2", 1, 14},
      {"log10", 1, 16},  {"sin", 1, 16},       {"cos", 1, 16},    {"tan", 1, 30},       {"asin", 1, 20},
      {"acos", 1, 20},   {"atan", 1, 20},      {"atan2", 2, 30},  {"sinh", 1, 20},      {"cosh", 1, 20},
      {"asinh", 1, 30},  {"acosh", 1, 30},     {"atanh", 1, 20},  {"erfinv", 1, 24},    {"floor", 1, 1},
      {"ceil", 1, 1},    {"trunc", 1, 1},      {"round", 1, 1},   {"fmod", 2, 10},      {"mod", 2, 10},
      {"bit_and", 2, 1}, {"bit_or", 2, 1},     {"bit_xor", 2, 1}, {"shift_left", 2, 2}, {"shift_right", 2, 2},
  };
  for (const Function& f : functions)
    if (f.name == name) return &f;
  return nullptr;
}

namespace {

void verify_product(const Kernel& kernel, const Region& region) {
  const Product& p = *region.product;
  const auto known = [&](int parameter) {
    return parameter >= 0 && static_cast<size_t>(parameter) < kernel.parameters.size();
  };
  if (!known(p.a) || !known(p.b)) fail("kernel '{}': its product has no such operand", kernel.name);
  const size_t rank = region.extents.size();
  if (rank < 2 || p.at_a.strides.size() != rank - 2 || p.at_b.strides.size() != rank - 2)
    fail("kernel '{}': its product has strides for {} and {} batch axes of {} extents", kernel.name,
         p.at_a.strides.size(), p.at_b.strides.size(), rank);
  const int64_t m = region.extents[rank - 2], n = region.extents[rank - 1];
  const bool empty = std::any_of(region.extents.begin(), region.extents.end(), [](int64_t e) { return e < 1; });
  if (empty || p.k < 1) fail("kernel '{}': its product has an empty dimension", kernel.name);
  if (p.lda < 1 || p.ldb < 1)
    fail("kernel '{}': its product has leading dimensions {} and {}", kernel.name, p.lda, p.ldb);
  // Each operand's own axes and their strides, besides the batch's.
  const auto check = [&](const char* name, int parameter, const Access& at, const Axes& own) {
    int64_t low = at.base, high = at.base;
    const auto reach = [&](int64_t steps, int64_t stride) {
      int64_t& end = stride < 0 ? low : high;
      int64_t distance = 0;
      if (__builtin_mul_overflow(steps, stride, &distance) || __builtin_add_overflow(end, distance, &end))
        fail("kernel '{}': operand {} of its product reaches further than elements can be numbered", kernel.name, name);
    };
    for (size_t i = 0; i < own.extents.size(); ++i) reach(own.extents[i] - 1, own.strides[i]);
    for (size_t d = 0; d + 2 < rank; ++d) reach(region.extents[d] - 1, at.strides[d]);
    const int64_t elements = kernel.parameters[static_cast<size_t>(parameter)].elements;
    if (low < 0 || high >= elements)
      fail("kernel '{}': operand {} of its product reaches elements {} to {} of {}", kernel.name, name, low, high,
           elements);
  };
  check("a", p.a, p.at_a, {{p.transpose_a ? p.k : m, p.transpose_a ? m : p.k}, {p.lda, 1}});
  if (!p.unfolded) return check("b", p.b, p.at_b, {{p.transpose_b ? n : p.k, p.transpose_b ? p.k : n}, {p.ldb, 1}});
  Axes own;
  for (const auto& [axes, size] : {std::pair{&p.unfolded->k, p.k}, std::pair{&p.unfolded->n, n}}) {
    const bool positive = std::all_of(axes->extents.begin(), axes->extents.end(), [](int64_t e) { return e > 0; });
    if (!positive || axes->extents.empty() || axes->extents.size() != axes->strides.size() ||
        element_count(axes->extents) != size)
      fail("kernel '{}': axes {} with strides {} do not make up {} of its product", kernel.name,
           to_string(axes->extents), to_string(axes->strides), size);
    own.extents.insert(own.extents.end(), axes->extents.begin(), axes->extents.end());
    own.strides.insert(own.strides.end(), axes->strides.begin(), axes->strides.end());
  }
  check("b", p.b, p.at_b, own);
}

// Folds leave one result, or one for each column, for every tile of rows.
void verify_folds(const Kernel& kernel, const Region& region) {
  const std::vector<Span> spans = spans_of(region);
  for (size_t i = 0; i < region.body.size(); ++i) {
    const Instruction& in = region.body[i];
    if (in.kind != Instruction::Kind::fold) continue;
    const int64_t rows = rows_of(region), blocks = rows / region.tile_rows + (rows % region.tile_rows != 0);
    const int64_t results = spans[i] == Span::full ? columns_of(region) : 1;
    const int64_t needed = checked_mul(std::max<int64_t>(blocks, 1), results);
    const int64_t elements = kernel.parameters[static_cast<size_t>(in.parameter)].elements;
    if (elements < needed)
      fail("kernel '{}', instruction %{}: leaves {} results in {} elements", kernel.name, i, needed, elements);
  }
}

}  // namespace

void verify(const Kernel& kernel) {
  using Kind = Instruction::Kind;
  for (const Phase& phase : kernel.phases)
    for (const Region& region : phase.regions) {
      auto bad = [&](size_t i, const std::string& rule) {
        fail("kernel '{}', instruction %{}: {}", kernel.name, i, rule);
      };
      if (region.extents.empty()) fail("kernel '{}': a region has no extents", kernel.name);
      element_count(region.extents);  // which throws if there are too many
      if (region.tile_rows < 1 || region.tile_columns < 1) fail("kernel '{}': a tile has no elements", kernel.name);
      const auto known = [&](int p) { return p >= 0 && static_cast<size_t>(p) < kernel.parameters.size(); };
      if (region.product) verify_product(kernel, region);
      for (size_t i = 0; i < region.body.size(); ++i) {
        const Instruction& in = region.body[i];
        for (int operand : in.operands) {
          if (operand < 0 || static_cast<size_t>(operand) >= i)
            bad(i, fmt::format("operand %{} is not above", operand));
          const Kind from = region.body[static_cast<size_t>(operand)].kind;
          if (from == Kind::store || from == Kind::fold) bad(i, fmt::format("operand %{} has no value", operand));
        }
        const bool touches = has_access(in) && in.kind != Kind::random && in.kind != Kind::index;
        if (touches && !known(in.parameter)) bad(i, "no such parameter");
        bool fits = !has_access(in) || in.access.strides.size() == region.extents.size();
        for (const Guard& guard : in.guards) fits &= guard.at.strides.size() == region.extents.size();
        if (!fits) bad(i, "strides and extents differ in number");
        if (!in.guards.empty() && in.kind != Kind::load && in.kind != Kind::index && in.kind != Kind::constant)
          bad(i, "guards what is no load");
        if (in.kind == Kind::gather && in.subscripts.size() != in.operands.size())
          bad(i, fmt::format("{} indices, {} subscripts", in.operands.size(), in.subscripts.size()));
        if (touches && in.dtype != kernel.parameters[static_cast<size_t>(in.parameter)].dtype)
          bad(i, fmt::format("touches parameter {} as {}", in.parameter, name_of(in.dtype)));
        const bool combines = in.kind == Kind::row || in.kind == Kind::fold;
        if (combines && in.operands.size() != 1) bad(i, fmt::format("combines {} operands", in.operands.size()));
        if (in.kind == Kind::store && in.operands.size() != 1 && in.operands.size() != 2)
          bad(i, fmt::format("stores {} operands", in.operands.size()));
        if (in.kind == Kind::store && in.operands.size() == 2) {
          if (region.product) bad(i, "a pair in a region with a product");
          if (in.access.strides.back() != 2 || columns_of(region) == 1) bad(i, "a pair lies apart");
        }
        if ((in.kind == Kind::load && in.guards.empty()) || in.kind == Kind::store) {
          int64_t low = in.access.base, high = in.access.base;
          for (size_t d = 0; d < region.extents.size(); ++d) {
            int64_t& end = in.access.strides[d] < 0 ? low : high;
            int64_t step = 0;
            if (__builtin_mul_overflow(in.access.strides[d], region.extents[d] - 1, &step) ||
                __builtin_add_overflow(end, step, &end))
              bad(i, "reaches further than 2^63 elements");
          }
          if (in.kind == Kind::store) high += static_cast<int64_t>(in.operands.size()) - 1;
          const int64_t elements = kernel.parameters[static_cast<size_t>(in.parameter)].elements;
          const bool empty = rows_of(region) * columns_of(region) == 0;
          if (!empty && (low < 0 || high >= elements))
            bad(i, fmt::format("reaches elements {} to {} of {}", low, high, elements));
        }
        if (in.kind == Kind::compute) {
          const Function* f = function_named(in.function);
          if (!f) bad(i, fmt::format("unknown function '{}'", in.function));
          if (static_cast<size_t>(f->arity) != in.operands.size())
            bad(i, fmt::format("'{}' takes {} operands, got {}", in.function, f->arity, in.operands.size()));
          const DType from = region.body[static_cast<size_t>(in.operands.back())].dtype;
          const bool moves = f->name == "cast" || f->name == "select" || f->name == "copy";
          if (!moves && is_half(from))
            bad(i, fmt::format("'{}' of {}: halves are computed in f32", in.function, name_of(from)));
        }
        using Mode = Parameter::Mode;
        const Mode mode = touches ? kernel.parameters[static_cast<size_t>(in.parameter)].mode : Mode::temporary;
        if ((in.kind == Kind::load || in.kind == Kind::gather) && mode == Mode::out) bad(i, "loads from an output");
        if ((in.kind == Kind::store || in.kind == Kind::fold) && mode == Mode::in) bad(i, "writes to an input");
        if (combines && in.function != "sum" && in.function != "prod" && in.function != "max" && in.function != "min")
          bad(i, fmt::format("unknown monoid '{}'", in.function));
        if (in.kind == Kind::product && !region.product) bad(i, "the region has no product");
        if (region.product && (in.kind == Kind::row || in.kind == Kind::fold))
          bad(i, "a reduction in a region with a product");
        if ((in.kind == Kind::row) && region.tile_columns < columns_of(region))
          bad(i, "a row is cut into several tiles");
      }
      verify_folds(kernel, region);
    }
}

}  // namespace gmc::kernel
